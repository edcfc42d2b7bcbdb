package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/capacity"
	"example.com/brunt/loadtest/pace"
)

// A tenth of a service's capacity is lost: the searches before and after, compared, say
// so, and of searches of the same service nothing got worse. Each search is a whole one,
// in virtual time, with arrivals and service times at random that are others in each.
func TestCompareFindsALossOfCapacity(t *testing.T) {
	const searches = 6
	r := newRepo(t, nil)
	file := func(name string, speed float64, seed uint64) string {
		var text strings.Builder
		text.WriteString("Unit capacity-req/s better=higher\nUnit capacity-lo-req/s better=higher\nUnit capacity-hi-req/s better=higher\npkg: example.com/m\n")
		for i := range uint64(searches) {
			got := searchVirtually(t, speed, seed+i)
			fmt.Fprintf(&text, "BenchmarkCheckout-2 1 %.2f capacity-req/s %.2f capacity-lo-req/s %.2f capacity-hi-req/s %d trials\n",
				got.Capacity, got.Lower, got.Upper, len(got.Trials))
		}
		t.Log(text.String())
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
		return path
	}
	base, same, slow := file("base.txt", 1, 100), file("same.txt", 1, 200), file("slow.txt", 0.9, 300)

	code, out, errs := r.brunt("-threshold", "trials=off", base, same)
	require.Equal(t, 0, code, out+errs)
	code, out, errs = r.brunt("-threshold", "trials=off", base, slow)
	require.Equal(t, 1, code, out+errs)
	require.Contains(t, out, "worse   example.com/m.Checkout-2 capacity-req/s: ")
	code, out, errs = r.brunt("-threshold", "trials=off", slow, base)
	require.Equal(t, 0, code, out+errs)
	require.Contains(t, out, "better  example.com/m.Checkout-2 capacity-req/s: ")
}

func searchVirtually(t *testing.T, speed float64, seed uint64) (r capacity.Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		service, err := fixtures.NewService(fixtures.ServiceConfig{
			Workers: 4, ServiceTime: fixtures.LogNormal(36*time.Millisecond, 0.3), Queue: 50, Seed: seed,
		})
		require.NoError(t, err)
		require.NoError(t, service.SetSpeed(speed))
		n := seed << 32
		r, err = capacity.Search(t.Context(), capacity.Options{
			SLO:      loadtest.SLO{P95: 150 * time.Millisecond},
			Arrivals: func(rate float64) pace.Schedule { n++; return pace.Poisson(rate, n) },
			MaxRate:  250, TrialDuration: time.Second, DurationSum: 7 * time.Second, Budget: time.Hour,
		}, loadtest.Call("checkout", service.Do))
		require.NoError(t, err)
	})
	return r
}

// The same by real searches, over HTTP and with the clock of this machine: a module with a
// handler, and a change that takes away a tenth of what it can do, or nothing.
func TestCompareFindsALossOfCapacityForReal(t *testing.T) {
	if os.Getenv("BRUNT_CAPACITY") == "" {
		t.Skip("BRUNT_CAPACITY is not set: see make help")
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	require.NoError(t, err)
	_, after, ok := strings.Cut(string(mod), "\n")
	require.True(t, ok)
	handler := func(speed float64) string {
		return fmt.Sprintf(`package m

import (
	"net/http"
	"time"

	"example.com/brunt/fixtures"
)

func handler() (http.Handler, error) {
	s, err := fixtures.NewService(fixtures.ServiceConfig{Workers: 4, ServiceTime: fixtures.Constant(8 * time.Millisecond), Queue: 200})
	if err != nil {
		return nil, err
	}
	return s, s.SetSpeed(%v)
}
`, speed)
	}
	r := newRepo(t, map[string]string{
		"go.mod":     "module example.com/m\n" + after + "\nrequire example.com/brunt v0.0.0\n\nreplace example.com/brunt => " + root + "\n",
		"go.sum":     string(sum),
		"handler.go": handler(1),
		"handler_test.go": `package m

import (
	"testing"
	"time"

	"example.com/brunt/fixtures"
	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/capacity"
)

func BenchmarkCheckout(b *testing.B) {
	h, err := handler()
	if err != nil {
		b.Fatal(err)
	}
	srv := fixtures.NewServer(b, fixtures.WithHandler("/checkout", h))
	capacity.Bench(b, capacity.Options{SLO: loadtest.SLO{P99: 40 * time.Millisecond}}, loadtest.Get(srv.URL+"/checkout"))
}
`,
	})
	compare := func() (code int, out string) {
		code, out, errs := r.brunt("-base", "main", "-bench", "Checkout", "-count", "6", "-max", "6", "-aa", "0", "-benchtime", "1x", "-cpu", "2", "-timeout", "2m",
			"-threshold", "*=off", "-threshold", "capacity-req/s=5")
		t.Log(out + errs)
		return code, out
	}
	r.Git("checkout", "-q", "-b", "same")
	r.Write(map[string]string{"notes.txt": "nothing\n"})
	r.Commit()
	code, _ := compare()
	require.Equal(t, 0, code)

	r.Git("checkout", "-q", "-b", "slow", "main")
	r.Write(map[string]string{"handler.go": handler(0.9)})
	r.Commit()
	code, out := compare()
	require.Equal(t, 1, code)
	require.Contains(t, out, "worse   example.com/m.Checkout-2 capacity-req/s: ")
}
