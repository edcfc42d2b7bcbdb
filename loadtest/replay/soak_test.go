package replay

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
)

// generated is an access log of n bytes that is made where it is read: 10,000 lines a
// second, each with a path of its own.
type generated struct{ n int64 }

func generatedLine(i int64) string {
	return fmt.Sprintf("10.0.%03d.%03d - - [%s] \"GET /products/%010d?ref=home&campaign=autumn HTTP/1.1\" 200 %06d \"https://shop.test/\" \"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0\"\n",
		i%251, i%241, start.Add(time.Duration(i/10_000)*time.Second).Format(commonLayout), i, i%1_000_000)
}

var generatedWidth = int64(len(generatedLine(0)))

func (g generated) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		if at >= g.n {
			return n, io.EOF
		}
		n += copy(p[n:], generatedLine(at / generatedWidth)[at%generatedWidth:])
	}
	return n, nil
}

// generate returns a log of about so many bytes: whole seconds.
func generate(bytes int64) generated {
	second := 10_000 * generatedWidth
	return generated{bytes / second * second}
}

// replayed replays l at its own instants, and checks each. It returns the most of the heap
// that was in use at any of eight looks, and its peak with garbage, which a machine that is busy
// elsewhere collects late.
func replayed(t *testing.T, l *Log) (live, peak uint64) {
	t.Helper()
	const perSecond = 10_000
	synctest.Test(t, func(t *testing.T) {
		var begin time.Time
		var wrong error
		next := int64(0)
		transport := roundTripper(func(r *http.Request) (*http.Response, error) {
			var i int64
			_, err := fmt.Sscanf(r.URL.Path, "/products/%d", &i)
			if at, want := time.Since(begin), time.Duration(i)*time.Second/perSecond; err != nil || i != next || at != want {
				wrong = errors.Join(err, fmt.Errorf("request %d, want %d, at %v, want %v", i, next, at, want))
			}
			if next++; next%(l.Stats().Requests/8) == 0 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				live = max(live, m.HeapAlloc)
			}
			return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
		})
		e, err := loadtest.NewArrivalEngine(loadtest.ArrivalConfig{Schedule: l.Schedule(), Conn: loadtest.ConnectionConfig{Transport: transport}})
		require.NoError(t, err)
		defer func() { require.NoError(t, e.Close(t.Context())) }()
		runtime.GC()
		begin = time.Now()
		r, err := e.Run(t.Context(), l.Source())
		require.NoError(t, err)
		require.NoError(t, wrong)
		require.Equal(t, l.Stats().Requests, r.SuccessCount)
		peak = r.PeakMemory
	})
	return live, peak
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A gigabyte of log takes no more memory than ten megabytes of it, each request comes at
// its own instant, and nothing is left out.
func TestAGigabyteOfLogIsReplayedInConstantMemory(t *testing.T) {
	few, large := int64(3<<20), int64(6<<20)
	soak := os.Getenv("BRUNT_SOAK") != ""
	if soak {
		few, large = 10<<20, 1<<30
	}
	small, err := New(generate(few), Config{Base: base})
	require.NoError(t, err)
	least, leastPeak := replayed(t, small)
	began := time.Now()
	l, err := New(generate(large), Config{Base: base})
	require.NoError(t, err)
	scan := time.Since(began)
	began = time.Now()
	most, peak := replayed(t, l)
	t.Logf("%d MiB, %d lines: opened in %v, replayed in %v; heap in use %d B, peak %d B; of %d MiB %d B, peak %d B",
		large>>20, l.Stats().Requests, scan, time.Since(began), most, peak, few>>20, least, leastPeak)
	require.Less(t, most, least+1<<20)
	if !soak {
		return
	}
	path := filepath.Join(t.TempDir(), "access.log")
	f, err := os.Create(path)
	require.NoError(t, err)
	_, err = io.Copy(f, io.NewSectionReader(generate(large), 0, large))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	began = time.Now()
	l, err = Open(path, Config{Base: base})
	require.NoError(t, err)
	defer l.Close()
	scan = time.Since(began)
	began = time.Now()
	most, peak = replayed(t, l)
	t.Logf("a file of %d MiB: opened in %v, replayed in %v; heap in use %d B, peak %d B", large>>20, scan, time.Since(began), most, peak)
	require.Less(t, most, least+1<<20)
}
