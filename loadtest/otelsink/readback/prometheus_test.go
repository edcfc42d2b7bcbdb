package readback

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	clientprom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// prometheus is a Prometheus with an OTLP receiver, as one is configured that nobody has
// configured.
type prometheus struct {
	t        *testing.T
	db       *tsdb.DB
	engine   *promql.Engine
	endpoint string // of its receiver
}

func newPrometheus(t *testing.T) *prometheus {
	t.Helper()
	opts := tsdb.DefaultOptions()
	opts.RetentionDuration = 0 // virtual time is long ago
	db, err := tsdb.Open(t.TempDir(), promslog.NewNopLogger(), nil, opts, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	srv := httptest.NewServer(remote.NewOTLPWriteHandler(promslog.NewNopLogger(), clientprom.NewRegistry(), db,
		func() config.Config { return config.DefaultConfig }, remote.OTLPOptions{}))
	t.Cleanup(srv.Close)
	engine := promql.NewEngine(promql.EngineOpts{Logger: promslog.NewNopLogger(), MaxSamples: 1e7, Timeout: time.Minute})
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	return &prometheus{t: t, db: db, engine: engine, endpoint: srv.URL + "/api/v1/otlp/v1/metrics"}
}

// send exports what has been collected through the official exporter for OTLP.
func (p *prometheus) send(collected ...*metricdata.ResourceMetrics) {
	t := p.t
	t.Helper()
	exporter, err := otlpmetrichttp.New(t.Context(), otlpmetrichttp.WithEndpointURL(p.endpoint))
	require.NoError(t, err)
	for _, rm := range collected {
		require.NoError(t, exporter.Export(t.Context(), rm))
	}
	require.NoError(t, exporter.Shutdown(context.Background()))
}

// query evaluates a query at an instant.
func (p *prometheus) query(at time.Time, query string) (promql.Vector, error) {
	q, err := p.engine.NewInstantQuery(p.t.Context(), p.db, nil, query, at)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	result := q.Exec(p.t.Context())
	if result.Err != nil {
		return nil, result.Err
	}
	if s, err := result.Scalar(); err == nil {
		return promql.Vector{{F: s.V}}, nil
	}
	v, err := result.Vector()
	var own promql.Vector // the query's memory is used again
	for _, s := range v {
		own = append(own, promql.Sample{T: s.T, F: s.F, H: copied(s.H), Metric: s.Metric})
	}
	return own, err
}

func copied(h *histogram.FloatHistogram) *histogram.FloatHistogram {
	if h == nil {
		return nil
	}
	return h.Copy()
}

// value returns the one value of a query; 0 if there is none.
func (p *prometheus) value(at time.Time, query string) float64 {
	t := p.t
	t.Helper()
	v, err := p.query(at, query)
	require.NoError(t, err, "%s", query)
	if len(v) == 0 {
		return 0
	}
	require.Len(t, v, 1, "%s", query)
	return v[0].F
}

// names returns the names of the metrics that it holds.
func (p *prometheus) names() []string {
	t := p.t
	t.Helper()
	q, err := p.db.Querier(0, time.Now().Add(24*time.Hour).UnixMilli())
	require.NoError(t, err)
	defer q.Close()
	names, _, err := q.LabelValues(t.Context(), model.MetricNameLabel, nil)
	require.NoError(t, err)
	return names
}
