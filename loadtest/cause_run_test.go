package loadtest

import (
	"context"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/pace"
)

// slowFor4s answers as a service that is slow from the fifth second since start to the
// eighth.
func slowFor4s(start time.Time, slow, usual time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		if now := time.Since(start); now >= 4*time.Second && now < 8*time.Second {
			return sleep(slow)(ctx)
		}
		return sleep(usual)(ctx)
	}
}

// offBeat is no multiple of the time between arrivals, so that none comes at the instant
// at which a request ends.
const offBeat = 99700 * time.Microsecond

// runOpen sends 200 a second for 12 s.
func runOpen(t *testing.T, cfg ArrivalConfig, src Source) *EngineResult {
	t.Helper()
	cfg.Schedule = pace.Constant(200).Until(12 * time.Second)
	e := newEngine(t, cfg)
	r, err := e.Run(t.Context(), src)
	require.NoError(t, err)
	closeEngine(t, e)
	return r
}

// poolOf is a client whose sessions share so many connections as fit.
type poolOf struct {
	conns chan struct{}
	do    func(context.Context) error
}

func (p poolOf) Session() (Session, error) { return p, nil }
func (p poolOf) Close() error              { return nil }

func (p poolOf) Do(ctx context.Context, _ *Request) (Response, error) {
	began := time.Now()
	p.conns <- struct{}{}
	defer func() { <-p.conns }()
	if d := time.Since(began); d > 0 {
		defer CountConnectionWait(ctx, d)
	}
	return Response{}, p.do(ctx)
}

func causesOf(r *EngineResult) (out []Cause) {
	for _, row := range r.Intervals {
		out = append(out, row.Cause)
	}
	return out
}

// A run says by itself what was planted.
func TestARunNamesItsCause(t *testing.T) {
	any200 := For(time.Hour, Get("http://service/"))
	funcs := For(time.Hour)
	const waiting = `^INVALID
  cause       connections in 5 of 12 seconds: \d\d(.\d)? % of the requests waited for a connection or a stream, .*s on average: 20[01]/s that take (49.8\d*|5\d(.\d*)?)ms each are 1\d or more in flight at once; raise the limit on connections`
	for name, tt := range map[string]struct {
		run  func(t *testing.T) *EngineResult
		want string // of the verdict
		rows map[Cause]int
	}{
		"healthy": {func(t *testing.T) *EngineResult {
			return runOpen(t, ArrivalConfig{Client: Func(sleep(oddly))}, funcs)
		}, "^PASS$", map[Cause]int{"": 12}},
		"in flight": {func(t *testing.T) *EngineResult {
			return runOpen(t, ArrivalConfig{MaxInFlight: 10, Client: Func(slowFor4s(time.Now(), offBeat, oddly))}, funcs)
		}, `^INVALID
  cause       in flight in 4 of 12 seconds: MaxInFlight 10 was reached, and 400 arrivals were dropped: 20[01]/s that take 99.7ms each are 20 or more in flight at once; raise MaxInFlight
  dropped     observed 16.7 % \(400 of 2,400\), wanted at most 0 % \(set SLO.MaxDroppedRate to allow some: 0 allows none\)
  achieved    observed 83.3 % of the arrivals, wanted at least 99 %$`, map[Cause]int{"": 8, CauseInFlight: 4}},
		"service slower": {func(t *testing.T) *EngineResult {
			return runOpen(t, ArrivalConfig{Client: Func(slowFor4s(time.Now(), offBeat, oddly))}, funcs)
		}, "^PASS$", map[Cause]int{"": 8, CauseSlower: 4}},
		"cpu": {func(t *testing.T) *EngineResult {
			// In a bubble nothing is ever short of CPU, but a source that takes its time
			// for each request has the same effect.
			return runOpen(t, ArrivalConfig{Client: Func(sleep(oddly))}, Pick(func(int64) *Request {
				time.Sleep(6 * time.Millisecond)
				return Call("", sleep(oddly))
			}))
		}, "^INVALID\n", map[Cause]int{CauseCPU: 12}},
		"local limits": {func(t *testing.T) *EngineResult {
			return runOpen(t, ArrivalConfig{Client: Func(func(context.Context) error {
				return &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}
			})}, funcs)
		}, "^INVALID\n", map[Cause]int{CauseLocalLimits: 12}},
		"connections": {func(t *testing.T) *EngineResult {
			l := newPipes()
			start := time.Now()
			slow := slowFor4s(start, offBeat/2, oddly/10)
			srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _ = slow(r.Context()) })}
			serveOn(t, srv, l)
			return runOpen(t, ArrivalConfig{Conn: ConnectionConfig{MaxConnections: 5, DialContext: l.dial}}, any200)
		}, waiting, map[Cause]int{"": 7, CauseConnections: 5}},
		"connections of a client of one's own": {func(t *testing.T) *EngineResult {
			slow := slowFor4s(time.Now(), offBeat/2, oddly/10)
			return runOpen(t, ArrivalConfig{Client: poolOf{conns: make(chan struct{}, 5), do: slow}}, any200)
		}, waiting, map[Cause]int{"": 7, CauseConnections: 5}},
		"streams": {func(t *testing.T) *EngineResult {
			l := newPipes()
			start := time.Now()
			slow := slowFor4s(start, offBeat/2, oddly/10)
			var h2 http.Protocols
			h2.SetUnencryptedHTTP2(true)
			srv := &http.Server{
				Handler:   http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _ = slow(r.Context()) }),
				Protocols: &h2, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 5},
			}
			serveOn(t, srv, l)
			return runOpen(t, ArrivalConfig{Conn: ConnectionConfig{MaxConnections: 1, DialContext: l.dial, Protocols: &h2}}, any200)
		}, waiting, map[Cause]int{"": 7, CauseConnections: 5}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := tt.run(t)
				v := SLO{MaxErrorRate: 1}.Judge(r)
				t.Log(v, causesOf(r))
				require.Regexp(t, tt.want, v.String())
				rows := make(map[Cause]int)
				for _, c := range causesOf(r) {
					rows[c]++
				}
				require.Equal(t, tt.rows, rows, "%q", causesOf(r))
				sameResult(t, r, roundTrip(t, r))
			})
		})
	}
}
