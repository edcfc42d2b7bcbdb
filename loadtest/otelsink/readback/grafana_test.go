package readback

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	grafana "github.com/grafana/grafana-foundation-sdk/go/dashboard"
	clientprom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
	promexporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/otelsink"
)

// dashboard is as much of Grafana's model as there is to check.
type dashboard struct {
	Panels []struct {
		ID      int
		Type    string
		Title   string
		GridPos struct{ H, W, X, Y int }
		Targets []struct{ Expr, LegendFormat string }
	}
	Templating struct {
		List []struct {
			Name, Type string
			Query      json.RawMessage
		}
	}
}

var (
	labelValues = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)
	legendLabel = regexp.MustCompile(`{{(\w+)}}`)
)

// check returns what is wrong with a dashboard for what p holds at an instant: a query that
// cannot be evaluated or finds nothing, a metric that no panel shows, a variable that there
// is not, panels in each other's place.
func check(p *prometheus, at time.Time, text []byte) (faults []string) {
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		return []string{err.Error()}
	}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	variables := []string{"$__rate_interval", "1m", "$__range", "1h", "$job", ".*", "$run", ".*", "$instance", "virtual/0|virtual/1"}
	filled := strings.NewReplacer(variables...)
	shown, ids, taken := make(map[string]bool), make(map[int]bool), make(map[[2]int]string)
	for _, panel := range d.Panels {
		if ids[panel.ID] {
			fault("%s: there is another panel %d", panel.Title, panel.ID)
		}
		ids[panel.ID] = true
		for x := range panel.GridPos.W {
			for y := range panel.GridPos.H {
				cell := [2]int{panel.GridPos.X + x, panel.GridPos.Y + y}
				if other, ok := taken[cell]; ok || cell[0] >= 24 {
					fault("%s: lies on %q, or beside the page", panel.Title, other)
				}
				taken[cell] = panel.Title
			}
		}
		if (len(panel.Targets) == 0) != (panel.Type == "row") {
			fault("%s: a panel has queries, and a row has none", panel.Title)
		}
		for _, target := range panel.Targets {
			expr := filled.Replace(target.Expr)
			if strings.Contains(expr, "$") {
				fault("%s: %s: there is no such variable", panel.Title, target.Expr)
				continue
			}
			v, err := p.query(at, expr)
			if err != nil {
				fault("%s: %s: %v", panel.Title, expr, err)
				continue
			}
			if len(v) == 0 {
				fault("%s: %s: finds nothing", panel.Title, expr)
			}
			for _, label := range legendLabel.FindAllStringSubmatch(target.LegendFormat, -1) {
				if slices.ContainsFunc(v, func(s promql.Sample) bool { return s.Metric.Get(label[1]) == "" }) {
					fault("%s: %s: has no %s for its legend", panel.Title, expr, label[1])
				}
			}
			ast, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
			if err != nil {
				fault("%s: %s: %v", panel.Title, expr, err)
				continue
			}
			parser.Inspect(ast, func(node parser.Node, _ []parser.Node) error {
				if s, ok := node.(*parser.VectorSelector); ok {
					shown[s.Name] = true
				}
				return nil
			})
		}
	}
	for _, name := range p.names() {
		if !shown[name] {
			fault("no panel shows %s", name)
		}
	}
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		var q struct{ Query string }
		if err := json.Unmarshal(v.Query, &q); err != nil {
			fault("variable %s: %v", v.Name, err)
			continue
		}
		asked := labelValues.FindStringSubmatch(q.Query)
		if asked == nil {
			fault("variable %s: %s: not understood", v.Name, q.Query)
			continue
		}
		found, err := p.query(at, fmt.Sprintf("count by (%s) (%s)", asked[2], filled.Replace(asked[1])))
		if err != nil || len(found) == 0 || found[0].Metric.Get(asked[2]) == "" {
			fault("variable %s: %s: finds nothing: %v", v.Name, q.Query, err)
		}
	}
	return faults
}

func TestDashboard(t *testing.T) {
	p := newPrometheus(t)
	var end time.Time
	for shard := range 2 {
		run := runShard(t, shard, 2)
		p.send(run.collected...)
		end = run.result.StartedAt.Add(run.result.Elapsed)
	}
	require.Empty(t, check(p, end, otelsink.Dashboard))

	// What is checked is noticed.
	for plant, want := range map[string]struct{ old, new, says string }{
		"another name":     {"loadtest_received_bytes_total{", "loadtest_received_total{", "finds nothing"},
		"another label":    {"by (loadtest_phase)", "by (phase)", "has no loadtest_phase for its legend"},
		"no query":         {"by (loadtest_phase)", "by loadtest_phase", "parse error"},
		"another outcome":  {`loadtest_outcome=\"error\"`, `loadtest_outcome=\"failed\"`, "finds nothing"},
		"a metric missing": {"loadtest_heap_bytes{", "loadtest_in_flight{", "no panel shows loadtest_heap_bytes"},
		"another variable": {`instance=~\"$instance\"`, `instance=~\"$shard\"`, "there is no such variable"},
		"no such run":      {`target_info{job=~\"$job\"}, loadtest_run_name`, `target_info{job=~\"$job\"}, loadtest_run`, "variable run"},
	} {
		t.Run(plant, func(t *testing.T) {
			require.Contains(t, string(otelsink.Dashboard), want.old)
			faults := check(p, end, []byte(strings.ReplaceAll(string(otelsink.Dashboard), want.old, want.new)))
			require.Contains(t, strings.Join(faults, "\n"), want.says)
		})
	}
}

// Grafana's own schema knows each field of the dashboard.
func TestDashboardIsOneOfGrafanas(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	var d grafana.Dashboard          //nolint:staticcheck // the model that every version of Grafana imports
	said := func(err error) string { // a list without faults is an error too
		if err == nil {
			return ""
		}
		return err.Error()
	}
	require.Empty(t, said(d.UnmarshalJSONStrict(otelsink.Dashboard)))
	require.NoError(t, d.Validate())
	for field, wrong := range map[string]string{`"gridPos"`: `"gridpos"`, `"rowHeight": 0.9`: `"rowHeight": "0.9"`} {
		text := strings.Replace(string(otelsink.Dashboard), field, wrong, 1)
		require.NotEqual(t, string(otelsink.Dashboard), text)
		require.NotEmpty(t, said(d.UnmarshalJSONStrict([]byte(text))), "what is checked is noticed")
	}
}

// Who scrapes finds the same names, and native histograms, as who is sent OTLP.
func TestScrapedNamesAreTheSame(t *testing.T) {
	p := newPrometheus(t)
	telemetry, err := otelsink.New(otelsink.Config{})
	require.NoError(t, err)
	registry := clientprom.NewRegistry()
	scraped, err := promexporter.New(promexporter.WithRegisterer(registry), promexporter.WithProducer(telemetry))
	require.NoError(t, err)
	reader := metric.NewManualReader(metric.WithProducer(telemetry))
	provider := metric.NewMeterProvider(metric.WithReader(scraped), metric.WithReader(reader), metric.WithResource(resource.NewSchemaless(telemetry.Attributes()...)))
	defer func() { require.NoError(t, provider.Shutdown(t.Context())) }()
	e := loadtest.Start(t, loadtest.SyncConfig{Client: loadtest.Func(func(context.Context) error { return nil }), OnProgress: telemetry.Follow()})
	r, err := e.Run(t.Context(), loadtest.Times(10, &loadtest.Request{Name: "a"}))
	require.NoError(t, err)
	var rm metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &rm))
	p.send(&rm)

	families, err := registry.Gather()
	require.NoError(t, err)
	names := make(map[string]bool)
	for _, f := range families {
		names[f.GetName()] = true
		for _, m := range f.GetMetric() {
			if h := m.GetHistogram(); h != nil {
				require.EqualValues(t, 5, h.GetSchema())
				require.EqualValues(t, r.Requests, h.GetSampleCount())
				require.NotEmpty(t, h.GetPositiveSpan())
			}
		}
	}
	require.Equal(t, p.names(), slices.Sorted(maps.Keys(names)))
	require.Contains(t, names, "loadtest_response_duration_seconds")
	require.Contains(t, names, "target_info")
}
