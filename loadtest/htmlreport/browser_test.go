package htmlreport

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/internal/text"
)

// browser is the Chromium in BRUNT_BROWSER, which make test-report sets.
func browser(t *testing.T) string {
	t.Helper()
	name := os.Getenv("BRUNT_BROWSER")
	if name == "" {
		t.Skip("BRUNT_BROWSER is not set to a Chromium; make test-report finds one")
	}
	path, err := exec.LookPath(name)
	require.NoError(t, err, "BRUNT_BROWSER")
	return path
}

// show opens the page at path and returns its document after the scripts have
// run, and what the console said.
func show(t *testing.T, path string, args ...string) (dom, console string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args = append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--enable-logging=stderr",
		"--user-data-dir=" + t.TempDir(), "--virtual-time-budget=3000",
	}, args...)
	cmd := exec.CommandContext(ctx, browser(t), append(args, (&url.URL{Scheme: "file", Path: path}).String())...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = 5 * time.Second // its children may hold the pipes
	require.NoError(t, cmd.Run(), "%s", &errs)
	for line := range strings.Lines(errs.String()) {
		if strings.Contains(line, "CONSOLE") {
			console += line
		}
	}
	return out.String(), console
}

// spy notes each text that is drawn beyond an edge of its canvas.
const spy = `window.cut = [];
const fill = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
	const t = this.getTransform(), w = this.measureText(text).width;
	const left = x - (this.textAlign === "center" ? w / 2 : this.textAlign === "right" || this.textAlign === "end" ? w : 0);
	if (t.b === 0 && (left + t.e < -1 || left + w + t.e > this.canvas.width + 1)) window.cut.push(text);
	return fill.apply(this, arguments);
};`

// probe looks at the page from within, after the page's own scripts.
const probe = `addEventListener("load", () => setTimeout(() => {
	const out = { rendered: document.body.dataset.rendered, errors: document.body.dataset.errors, pwned: window.pwned === 1, cut: window.cut, verdict: document.querySelector("[data-verdict]")?.textContent,
		warnings: [...document.querySelectorAll("[data-warning]")].map((li) => li.dataset.warning),
		injected: document.querySelectorAll("main img, main iframe, main script, [onerror], [onload]").length,
		resources: performance.getEntriesByType("resource").map((e) => e.name),
		overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
		page: getComputedStyle(document.body).backgroundColor, charts: {}, tables: {}, tiles: {} };
	for (const box of document.querySelectorAll(".chart")) {
		const canvas = box.querySelector("canvas"), px = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
		const colors = new Set();
		let painted = 0;
		for (let i = 0; i < px.length; i += 4) if (px[i + 3] > 0) { painted++; if (px[i + 3] > 250) colors.add(px[i] + "," + px[i + 1] + "," + px[i + 2]); }
		out.charts[box.id] = { painted, colors: colors.size, x: box.dataset.xscale, y: box.dataset.yscale, role: box.getAttribute("role"), label: box.getAttribute("aria-label"), legend: box.querySelector(".u-legend").innerText };
	}
	for (const table of document.querySelectorAll("table[id]")) {
		const rows = out.tables[table.id] = {};
		for (const tr of table.tBodies[0].rows) rows[tr.dataset.key || tr.cells[0].textContent] = [...tr.cells].map((c) => c.textContent);
	}
	for (const dd of document.querySelectorAll("[data-tile]")) out.tiles[dd.dataset.tile] = dd.textContent;
	const pre = document.createElement("pre");
	pre.id = "probe";
	pre.textContent = JSON.stringify(out);
	document.body.append(pre);
}, 200));`

type seen struct {
	Rendered, Errors string
	Pwned            bool
	Cut, Warnings    []string
	Verdict          string
	Injected         int
	Resources        []string
	Overflow         int
	Page             string
	Charts           map[string]struct {
		Painted, Colors     int
		X, Y                string
		Role, Label, Legend string
	}
	Tables map[string]map[string][]string
	Tiles  map[string]string
}

var probeText = regexp.MustCompile(`(?s)<pre id="probe">(.*?)</pre>`)

// inspect shows a copy of page to which the probe has been added, and let
// through by the policy.
func inspect(t *testing.T, page string, args ...string) seen {
	t.Helper()
	require.Equal(t, 1, strings.Count(page, "</body>"))
	policed := strings.Replace(page, html.EscapeString("script-src "), "script-src "+html.EscapeString(hash(probe)+" "+hash(spy))+" ", 1)
	require.NotEqual(t, page, policed)
	require.Equal(t, 1, strings.Count(page, "<style>"))
	policed = strings.Replace(policed, "<style>", "<script>"+spy+"</script><style>", 1)
	path := filepath.Join(t.TempDir(), "page.html")
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(policed, "</body>", "<script>"+probe+"</script></body>", 1)), 0o644))
	dom, console := show(t, path, append(args, "--dump-dom")...)
	require.Empty(t, console)
	m := probeText.FindStringSubmatch(dom)
	require.NotNil(t, m, "the probe did not run:\n%.2000s", dom)
	var s seen
	require.NoError(t, json.Unmarshal([]byte(html.UnescapeString(m[1])), &s), m[1])
	return s
}

func written(t *testing.T, o Options, results ...*loadtest.EngineResult) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, Write(&b, o, results...))
	return b.String()
}

func requireDrawn(t *testing.T, s seen, charts ...string) {
	t.Helper()
	require.Equal(t, fmt.Sprint(len(charts)), s.Rendered)
	require.Equal(t, "0", s.Errors)
	require.Empty(t, s.Resources, "the page fetched something")
	require.Empty(t, s.Cut, "text that is cut off at an edge of its chart")
	require.LessOrEqual(t, s.Overflow, 0, "the page is wider than the window")
	require.Len(t, s.Charts, len(charts))
	for _, id := range charts {
		c := s.Charts["chart-"+id]
		require.Greater(t, c.Painted, 2000, id)
		require.Greater(t, c.Colors, 1, "%s: axes and a line differ in color", id)
		require.Equal(t, "img", c.Role, id)
		require.NotEmpty(t, c.Label, id)
		x := "linear"
		if id == "percentiles" {
			x = "log"
		}
		require.Equal(t, x, c.X, id)
	}
}

var allCharts = []string{"latency", "percentiles", "throughput", "errors", "inflight", "heap"}

// A real run, drawn: every number on the page is the result's.
func TestBrowserDrawsARun(t *testing.T) {
	browser(t)
	r := drive(t, 3*time.Second)
	require.GreaterOrEqual(t, len(r.Intervals), 2)
	path := Attach(t, Options{Title: "A real run", SLO: &loadtest.SLO{P99: time.Second}}, r)
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	_, console := show(t, path, "--screenshot="+filepath.Join(filepath.Dir(path), "report.png"), "--window-size=1200,2600")
	require.Empty(t, console, "the page as it is")

	s := inspect(t, string(page))
	requireDrawn(t, s, allCharts...)
	value := func(key string) string { return s.Tables["summary"][key][1] }
	require.Equal(t, text.Count(r.Requests), value("requests"))
	require.Equal(t, perSecond(r.RPS()), value("rps"))
	require.Equal(t, text.Duration(r.P50()), value("p50"))
	require.Equal(t, text.Duration(r.P99()), value("p99"))
	require.Equal(t, text.Duration(r.Quantile(0.999)), value("p99.9"))
	require.Equal(t, text.Duration(r.Quantile(1)), value("max"))
	require.Equal(t, text.Count(r.ErrorCount), value("errors"))
	require.Equal(t, text.Count(r.ConnectionsOpened), value("connections"))
	require.Equal(t, text.Bytes(r.PeakMemory), value("heap"))
	require.Equal(t, value("p99"), s.Tiles["p99"])
	for class, n := range r.Errors {
		require.Equal(t, text.Count(n), s.Tables["errors"][class.String()][1])
	}
	require.Equal(t, "the cart is empty", s.Tables["errors"]["check"][3])
	for code, n := range r.StatusCodes {
		require.Equal(t, text.Count(n)+" ("+text.Share(n, r.Requests)+")", s.Tables["statuses"][fmt.Sprint(code)][1])
	}
	for name, ep := range r.Endpoints {
		require.Equal(t, text.Count(ep.Requests), s.Tables["endpoints"][name][1])
	}
	require.Len(t, s.Tables["intervals"], len(r.Intervals))
}

func TestBrowserDarkAndNarrow(t *testing.T) {
	browser(t)
	page := written(t, Options{}, stored(t), stored(t))
	light := inspect(t, page, "--window-size=1200,900", "--blink-settings=preferredColorScheme=1")
	dark := inspect(t, page, "--window-size=500,900", "--blink-settings=preferredColorScheme=0")
	requireDrawn(t, light, allCharts...)
	requireDrawn(t, dark, allCharts...)
	require.Equal(t, "rgb(245, 246, 248)", light.Page)
	require.Equal(t, "rgb(14, 17, 22)", dark.Page)
	require.Contains(t, light.Charts["chart-latency"].Legend, "async × 50 (2) p99")
	require.Equal(t, "log", light.Charts["chart-latency"].Y)
}

// The axis of percentiles ends at a tick where there were 100, 1,000 … requests.
func TestBrowserCutsNoTickOff(t *testing.T) {
	browser(t)
	for _, n := range []int{1_000, 100_000} {
		r := run(t, n)
		r.Intervals = minute(1)
		page := written(t, Options{}, r)
		for _, width := range []int{1200, 500} {
			requireDrawn(t, inspect(t, page, fmt.Sprintf("--window-size=%d,900", width)), allCharts...)
		}
	}
}

// run sends n requests that do nothing.
func run(t *testing.T, n int) *loadtest.EngineResult {
	t.Helper()
	e := loadtest.Start(t, loadtest.SyncConfig{})
	r, err := e.Run(t.Context(), loadtest.Times(n, loadtest.Call("", func(context.Context) error { return nil })))
	require.NoError(t, err)
	return r
}

// The verdict and a stall stand where one looks first.
func TestBrowserShowsTheVerdict(t *testing.T) {
	browser(t)
	r := stored(t)
	s := inspect(t, written(t, Options{SLO: &loadtest.SLO{P99: time.Hour}}, r))
	requireDrawn(t, s, allCharts...)
	require.Equal(t, "FAIL", s.Verdict)
	require.Equal(t, "yes", s.Tables["objectives"]["p99"][3])
	require.Equal(t, "no", s.Tables["objectives"]["error rate"][3])
	require.Contains(t, s.Warnings, "stall")
	require.Equal(t, "PASS", inspect(t, written(t, Options{SLO: &loadtest.SLO{P99: time.Hour, MaxErrorRate: 1}}, r)).Verdict)
	require.Empty(t, inspect(t, written(t, Options{}, r)).Verdict)
}

func TestBrowserWithoutIntervals(t *testing.T) {
	browser(t)
	r := stored(t)
	r.Intervals = nil
	requireDrawn(t, inspect(t, written(t, Options{}, r)), "percentiles")
	dom, console := show(t, func() string {
		path := filepath.Join(t.TempDir(), "empty.html")
		require.NoError(t, WriteFile(path, Options{}, &loadtest.EngineResult{}))
		return path
	}(), "--dump-dom")
	require.Empty(t, console)
	require.Contains(t, dom, "Nothing was sent")
}

// Whatever a server or a caller puts into names and errors stays text: nothing
// runs, and nothing is asked of the listener that it points to. A page that is
// not ours shows that the listener would have noticed.
func TestBrowserHostileText(t *testing.T) {
	browser(t)
	var hits atomic.Int64
	listener := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer listener.Close()
	attack := `</script></style></title><script>window.pwned=1</script><img src="` + listener.URL + `/x" onerror="window.pwned=1">` +
		`<iframe src="` + listener.URL + `"></iframe><!--<script>` + "\u2028" + `{{.}}'"--><link rel=stylesheet href="` + listener.URL + `">`

	control := filepath.Join(t.TempDir(), "control.html")
	require.NoError(t, os.WriteFile(control, []byte("<title>"+attack), 0o644))
	show(t, control, "--dump-dom")
	require.Positive(t, hits.Load(), "the listener must be within reach")
	hits.Store(0)

	s := inspect(t, written(t, Options{Title: attack, Names: []string{"b", attack}, Environment: []Fact{{attack, attack}}}, stored(t), hostile(t, attack)))
	requireDrawn(t, s, allCharts...)
	require.False(t, s.Pwned)
	require.Zero(t, s.Injected)
	require.Zero(t, hits.Load())
	require.Contains(t, s.Tables["endpoints"], attack)
	require.Equal(t, attack, s.Tables["errors"]["check"][4])
	require.Equal(t, attack, s.Tables["scenarios"][attack][10])
}

// hostile is the stored result with text in each place that others fill.
func hostile(t *testing.T, text string) *loadtest.EngineResult {
	t.Helper()
	r := stored(t)
	r.Engine = text
	r.Endpoints[text] = r.Endpoints["get"]
	r.Scenarios = map[string]*loadtest.ScenarioStats{text: {Started: 1, Failed: 1, Error: text}}
	r.Excluded = []loadtest.Interval{{From: -time.Second, Excluded: true}}
	r.ErrorExamples[loadtest.ClassCheck] = text
	r.Warnings = append(r.Warnings, loadtest.Warning{Kind: loadtest.WarningKind(text), Text: text})
	return r
}
