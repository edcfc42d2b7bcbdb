package live

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/faketb"
	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/internal/text"
)

// probe tells after each event what is to be seen, and does in between what a reader does.
const probe = `{
let n = 0, told = false, order = Promise.resolve();
const mouse = (type, x, more) => {
	const over = document.querySelector("#chart-inflight .u-over"), r = over.getBoundingClientRect();
	over.dispatchEvent(new MouseEvent(type, { bubbles: true, clientX: r.left + x * r.width, clientY: r.top + 20, movementX: 5, buttons: 1, ...more }));
};
const tell = () => {
	const out = { n, state: document.querySelector(".sub").textContent, lost: !document.getElementById("lost").hidden,
		errors: document.body.dataset.errors, rendered: document.body.dataset.rendered, tiles: {}, charts: {},
		warnings: [...document.querySelectorAll("[data-warning]")].map((li) => li.textContent),
		pressed: document.querySelector("[data-for=latency]")?.getAttribute("aria-pressed") };
	for (const dd of document.querySelectorAll("[data-tile]")) out.tiles[dd.dataset.tile] = dd.textContent;
	for (const box of document.querySelectorAll(".chart")) {
		const canvas = box.querySelector("canvas"), copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
		copy.drawImage(canvas, 0, 0);
		const px = copy.getImageData(0, 0, canvas.width, canvas.height).data;
		let painted = 0, sum = 0;
		for (let i = 0; i < px.length; i += 4) if (px[i + 3]) { painted++; sum = (31 * sum + i + px[i] + px[i + 1]) | 0; }
		out.charts[box.id.slice(6)] = { painted, sum, label: box.getAttribute("aria-label"), y: box.dataset.yscale, hidden: box.querySelectorAll(".u-series.u-off").length };
	}
	const body = JSON.stringify(out);
	order = order.then(() => fetch("seen", { method: "POST", body }));
	switch (n) {
	case 2: // a line is hidden, and an axis changed
		document.querySelectorAll("#chart-throughput .u-series")[1].querySelector("th").click();
		document.querySelector("[data-for=latency]").click();
		break;
	case 4: // a part of the time is looked at, by a hand that is slower than events
		mouse("mousemove", 0.1, { buttons: 0 });
		mouse("mousedown", 0.1);
		setTimeout(() => { mouse("mousemove", 0.6); mouse("mouseup", 0.6, { buttons: 0 }); }, 1500);
		break;
	case 7: // and all of it
		mouse("dblclick", 0.5);
	}
};
document.addEventListener("charts", () => { n++; told = false; queueMicrotask(tell); }); // after it has been drawn
setInterval(() => { if (!told && !document.getElementById("lost").hidden) { told = true; tell(); } }, 100);
setTimeout(tell, 100);
}`

// seen is what the probe tells.
type seen struct {
	N                       int
	State, Errors, Rendered string
	Lost                    bool
	Pressed                 string
	Warnings                []string
	Tiles                   map[string]string
	Charts                  map[string]struct {
		Painted, Sum, Hidden int
		Label, Y             string
	}
}

// watchPage opens a page in the Chromium in BRUNT_BROWSER, which make test-report sets, with
// the probe in it, and returns what that tells. The page is at upstream, whose address may
// change.
func watchPage(t *testing.T, upstream *atomic.Pointer[url.URL]) <-chan seen {
	t.Helper()
	name := os.Getenv("BRUNT_BROWSER")
	if name == "" {
		t.Skip("BRUNT_BROWSER is not set to a Chromium; make test-report finds one")
	}
	path, err := exec.LookPath(name)
	require.NoError(t, err, "BRUNT_BROWSER")

	told := make(chan seen, 100)
	sum := sha256.Sum256([]byte(probe))
	proxy := &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(upstream.Load()) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // as if it were not there
		ModifyResponse: func(r *http.Response) error {
			if r.Request.URL.Path != "/" {
				return nil
			}
			page, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			text := strings.Replace(string(page), html.EscapeString("script-src "), html.EscapeString("script-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"' "), 1)
			text = strings.Replace(text, "</body>", "<script>"+probe+"</script></body>", 1)
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
			r.Header.Set("Content-Length", fmt.Sprint(len(text)))
			return nil
		},
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/seen" {
			proxy.ServeHTTP(w, r)
			return
		}
		var s seen
		if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
			t.Errorf("the probe: %v", err)
		}
		told <- s
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})

	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	cmd := exec.CommandContext(ctx, path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--enable-logging=stderr", "--remote-debugging-port=0", "--window-size=1200,2000",
		"--user-data-dir="+t.TempDir(), srv.URL)
	var errs strings.Builder
	cmd.Stdout, cmd.Stderr = &errs, &errs
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that it ends its children
	cmd.WaitDelay = 10 * time.Second
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was interrupted
		for line := range strings.Lines(errs.String()) {
			if strings.Contains(line, "CONSOLE") {
				t.Errorf("the console: %s", line)
			}
		}
	})
	return told
}

// await returns what is told, up to and with what ok accepts.
func await(t *testing.T, told <-chan seen, ok func(seen) bool) (all []seen) {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case s := <-told:
			require.Equal(t, "0", s.Errors, "errors in the page")
			if all = append(all, s); ok(s) {
				return all
			}
		case <-timeout:
			t.Fatalf("the page never showed it: %+v", all)
		}
	}
}

// A run is drawn while it goes on, what the reader has done to a chart outlasts the next
// event, and the page has the result in the end, sees that the server is gone, and follows
// the next run that is there.
func TestBrowserFollowsARun(t *testing.T) {
	var upstream atomic.Pointer[url.URL]
	start := func() (*faketb.TB, func(loadtest.Progress)) {
		tb := new(faketb.TB)
		f := Show(tb, "127.0.0.1:0")
		t.Cleanup(tb.End)
		at, err := url.Parse(shownAt(t, tb))
		require.NoError(t, err)
		upstream.Store(at)
		return tb, f
	}
	tb, f := start()
	told := watchPage(t, &upstream)
	first := await(t, told, func(seen) bool { return true })
	require.Contains(t, first[0].State, "waiting for the run to begin")

	engine := loadtest.Start(t, loadtest.ThreadedConfig{
		MaxWorkers: 4, OnProgress: f,
		Client: loadtest.Func(func(context.Context) error { time.Sleep(5 * time.Millisecond); return nil }),
	})
	r, err := engine.Run(t.Context(), loadtest.For(15*time.Second))
	require.NoError(t, err)
	tb.End()
	all := await(t, told, func(s seen) bool { return s.Lost })
	byN := make(map[int]seen)
	last := 0
	for _, s := range all {
		byN[s.N], last = s, s.N
	}
	require.GreaterOrEqual(t, last, 10, "%+v", all)
	for n := 2; n <= last; n++ {
		require.Equal(t, "5", byN[n].Rendered)
		for id, c := range byN[n].Charts {
			require.Greater(t, c.Painted, 1000, id)
		}
	}
	require.NotEqual(t, byN[3].Charts["heap"].Sum, byN[2].Charts["heap"].Sum, "a chart goes on")
	require.Zero(t, byN[2].Charts["throughput"].Hidden)
	require.NotEqual(t, byN[2].Pressed, byN[3].Pressed)
	for n := 3; n <= last; n++ {
		require.Equal(t, 1, byN[n].Charts["throughput"].Hidden, "a hidden line stays hidden")
		require.Equal(t, byN[3].Pressed, byN[n].Pressed)
		require.Equal(t, map[string]string{"true": "log", "false": "linear"}[byN[n].Pressed], byN[n].Charts["latency"].Y)
	}
	require.NotEqual(t, byN[4].Charts["inflight"].Sum, byN[5].Charts["inflight"].Sum)
	require.Equal(t, byN[5].Charts["inflight"].Sum, byN[6].Charts["inflight"].Sum, "a part of the time stays in view")
	require.Equal(t, byN[6].Charts["inflight"].Sum, byN[7].Charts["inflight"].Sum)
	require.NotEqual(t, byN[7].Charts["inflight"].Sum, byN[8].Charts["inflight"].Sum)
	require.NotEqual(t, byN[8].Charts["inflight"].Sum, byN[9].Charts["inflight"].Sum)
	require.Contains(t, byN[last].State, "done after 15s")
	require.Equal(t, text.Count(r.Requests), byN[last].Tiles["requests"])
	require.Equal(t, text.Rate(r.RPS())+"/s", byN[last].Tiles["rps"])

	tb, f = start()
	f(second(7, 11))
	next := await(t, told, func(s seen) bool { return !s.Lost && strings.Contains(s.State, "running: 7s") })
	require.Equal(t, "77", next[len(next)-1].Tiles["requests"])
	tb.End()
}

// The shards of a directory are drawn as one run, and the one that is missing is named until
// it is there.
func TestBrowserFollowsShards(t *testing.T) {
	dir := t.TempDir()
	srv := httptest.NewServer(Watch(dir))
	t.Cleanup(srv.Close) // after the browser
	var upstream atomic.Pointer[url.URL]
	at, err := url.Parse(srv.URL)
	require.NoError(t, err)
	upstream.Store(at)
	told := watchPage(t, &upstream)
	await(t, told, func(s seen) bool { return strings.Contains(s.State, "waiting for the progress") })
	tb := new(faketb.TB)
	defer tb.End()
	both := []func(loadtest.Progress){record(tb, shardOf(dir, 0, 2)), record(tb, shardOf(dir, 1, 2))}
	both[0](second(1, 10))
	one := await(t, told, func(s seen) bool { return s.Rendered == "5" })
	require.Equal(t, []string{"1 of 2 shards are missing: 1"}, one[len(one)-1].Warnings)
	require.Equal(t, "10/s", one[len(one)-1].Tiles["rps"])
	for i := range 2 {
		end := second(2, 10)
		end.Done = i == 0
		both[i](end)
	}
	two := await(t, told, func(s seen) bool { return len(s.Warnings) == 0 })
	require.Contains(t, two[len(two)-1].State, "1 of 2 shards running, 1 done")
	require.NotEqual(t, one[len(one)-1].Charts["throughput"].Sum, two[len(two)-1].Charts["throughput"].Sum)
	require.Equal(t, "40", two[len(two)-1].Tiles["requests"])
	end := second(3, 10)
	end.Done = true
	both[1](end)
	await(t, told, func(s seen) bool { return strings.Contains(s.State, "done: 2 shards") })
}
