package resiliencetest

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// retrying is a client as plain as can be, right while fault is empty, and otherwise wrong in
// the one way of that name.
type retrying struct {
	base  http.RoundTripper
	fault string
	spent atomic.Int32 // of a budget of ten retries
	conn  net.Conn
	in    *bufio.Reader
}

func planted(fault string) wrapFunc {
	return func(base http.RoundTripper) http.RoundTripper {
		own := base.(*http.Transport)
		own.HTTP2 = &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 5 * time.Second}
		if fault == "looks a name up once" {
			own.DialContext = lookingUpOnce(own.DialContext)
		}
		return &retrying{base: base, fault: fault}
	}
}

func (r *retrying) RoundTrip(req *http.Request) (*http.Response, error) {
	switch r.fault {
	case "leaves a goroutine":
		go time.Sleep(time.Hour)
	case "never returns":
		time.Sleep(time.Hour)
	case "panics":
		panic("planted")
	case "does without its base":
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	case "keeps a poisoned connection":
		return r.ownConnection(req)
	case "never closes a request's body":
		if req.Body != nil {
			own := req.Clone(req.Context())
			own.Body = io.NopCloser(req.Body)
			req = own
		}
	}
	for n := 1; ; n++ {
		resp, err := r.attempt(req)
		if err == nil && r.fault == "follows redirects with all headers" && resp.Header.Get("Location") != "" {
			_ = resp.Body.Close()
			next := req.Clone(req.Context())
			next.URL, _ = req.URL.Parse(resp.Header.Get("Location"))
			next.Host = next.URL.Host
			return r.base.RoundTrip(next)
		}
		if !r.again(req, resp, err) || n == 3 && r.fault != "retries without bound" || r.spent.Add(1) > 10 && !strings.HasPrefix(r.fault, "retries without") {
			switch {
			case err != nil && r.fault == "hides what happened":
				return nil, errors.New("failed")
			case err == nil && r.fault == "hides a truncated body":
				resp.Body = unexpectedEnd{resp.Body}
			}
			return resp, err
		}
		wait := time.Second
		if resp != nil {
			if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && r.fault != "ignores Retry-After" {
				wait = max(wait, time.Duration(s)*time.Second)
			} else if at, err := http.ParseTime(resp.Header.Get("Retry-After")); err == nil {
				date, _ := http.ParseTime(resp.Header.Get("Date"))
				wait = max(wait, at.Sub(date))
			}
			if r.fault != "never closes a body" {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		}
		if r.fault == "goes on when canceled" {
			req = req.Clone(context.WithoutCancel(req.Context()))
		}
		select {
		case <-time.After(wait):
		case <-req.Context().Done():
			return nil, errors.Join(req.Context().Err(), err)
		}
		if req.GetBody != nil {
			own := req.Clone(req.Context())
			if own.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
			if r.fault == "sends an empty body again" {
				_ = own.Body.Close()
				own.Body, own.ContentLength = http.NoBody, 0
			}
			req = own
		}
	}
}

// attempt takes no more than 10s until the header is in.
func (r *retrying) attempt(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	timer := time.AfterFunc(10*time.Second, func() { cancel(context.DeadlineExceeded) })
	resp, err := r.base.RoundTrip(req.WithContext(ctx))
	timer.Stop()
	if err != nil {
		cancel(err)
		if cause := context.Cause(ctx); req.Context().Err() == nil && errors.Is(cause, context.DeadlineExceeded) {
			err = cause
		}
		return nil, err
	}
	resp.Body = endsContext{resp.Body, cancel}
	return resp, nil
}

// lookingUpOnce returns dial, which goes on to use the first address that it has connected to.
func lookingUpOnce(dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	known := ""
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, cmp.Or(known, addr))
		if err == nil {
			known = c.RemoteAddr().String()
		}
		return c, err
	}
}

type endsContext struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b endsContext) Close() error {
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}

// again reports whether there is to be another attempt.
func (r *retrying) again(req *http.Request, resp *http.Response, err error) bool {
	var dial *net.OpError
	switch {
	case req.Context().Err() != nil && r.fault != "goes on when canceled":
		return false
	case err == nil && resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests:
		return false
	case req.Method == http.MethodPost && r.fault != "retries a POST":
		return errors.As(err, &dial) && dial.Op == "dial"
	}
	return resp == nil || len(resp.Header.Get("Retry-After")) < 10 || resp.Header.Get("Date") == "" || resp.StatusCode == http.StatusServiceUnavailable
}

type unexpectedEnd struct{ io.ReadCloser }

func (b unexpectedEnd) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// ownConnection sends everything on one connection, whatever has come on it.
func (r *retrying) ownConnection(req *http.Request) (*http.Response, error) {
	if trace := httptrace.ContextClientTrace(req.Context()); trace != nil {
		trace.GetConn(req.URL.Host)
	}
	if r.conn == nil {
		c, err := r.base.(*http.Transport).DialContext(req.Context(), "tcp", req.URL.Host+":80")
		if err != nil {
			return nil, err
		}
		r.conn, r.in = c, bufio.NewReader(c)
	}
	deadline, _ := req.Context().Deadline()
	if err := errors.Join(r.conn.SetDeadline(deadline), req.Write(r.conn)); err != nil {
		return nil, err
	}
	return http.ReadResponse(r.in, req)
}

func (r *retrying) CloseIdleConnections() {
	if r.conn != nil {
		_ = r.conn.Close()
	}
}

func cellOf(t *testing.T, name string) cell {
	t.Helper()
	for _, c := range transportCells() {
		if c.name() == name {
			return c
		}
	}
	t.Fatalf("no cell %q", name)
	return cell{}
}

// The plain client has every cell right, so that the matrix does not ask for more than what is
// right.
func TestAPlainRetryingClientPasses(t *testing.T) {
	m := CheckTransport(t, planted(""))
	require.Zero(t, m.Count(Fail), "%v", m)
	require.Zero(t, m.Count(Invalid), "%v", m)
}

func TestPlantedBugsOfClientsAreCaught(t *testing.T) {
	for _, row := range []struct {
		fault, cell, want string
	}{
		{"retries a POST", "response-lost/POST", "the POST was executed 2 times"},
		{"never closes a body", "503-once/GET", "1 connections are still open when all is over"},
		{"never closes a request's body", "calm/PUT", "bodies of requests were never closed"},
		{"ignores Retry-After", "429-retry-after/GET", "attempt 2 came after 1.008s, where Retry-After said 3s"},
		{"retries without bound", "503-forever/GET", "10 attempts, where 4 are the most"},
		{"retries without bound", "storm-503/storm", "1000 attempts, where 400 are the most"},
		{"retries without a budget", "metastable/storm", "when its cause has long gone"},
		{"keeps a poisoned connection", "length-too-short/GET", "a minute after all was well again a call still fails: "},
		{"follows redirects with all headers", "redirect-other-host/GET", "Authorization was sent to another host"},
		{"looks a name up once", "dns-address-changes/GET", "the call failed, where it can succeed: "},
		{"sends an empty body again", "503-once/PUT", "the request was executed with a body that its caller did not send"},
		{"hides a truncated body", "truncated/GET", "an answer that is cut short or broken was handed over as complete"},
		{"hides what happened", "refused-forever/GET", `the failure does not say what happened: Get "http://api.test/work": failed`},
		{"goes on when canceled", "503-forever/canceled-backing-off", "after the call was canceled"},
		{"leaves a goroutine", "503-once/GET", "goroutines are left: [example.com/brunt/resilience/resiliencetest.(*retrying).RoundTrip"},
		{"never returns", "503-once/GET", "the fault did not fire, so that nothing was proved"},
		{"does without its base", "503-once/GET", "no attempt was seen"},
		{"panics", "503-once/GET", "planted"},
	} {
		t.Run(row.fault, func(t *testing.T) {
			var opts []TransportOption
			if strings.Contains(row.want, "are the most") {
				opts = append(opts, CallDeadline(10*time.Second)) // enough
			}
			got := runCell(t, cellOf(t, row.cell), prepare(t, planted(row.fault), opts), planted(row.fault))
			require.NotEqual(t, Pass, got.Verdict, "%v", got)
			require.NotEmpty(t, got.Reasons)
			require.Contains(t, fmt.Sprint(got.Reasons), row.want)
			require.NotEmpty(t, got.Reproduction)
		})
	}
}

// A plain client says all it can, and that is enough where no retries are promised.
func TestHangingClient(t *testing.T) {
	hangs := func(base http.RoundTripper) http.RoundTripper {
		return transportFunc(func(req *http.Request) (*http.Response, error) {
			return base.RoundTrip(req.WithContext(context.WithoutCancel(req.Context())))
		})
	}
	got := runCell(t, cellOf(t, "stall-before-answer/GET"), configure(t, []TransportOption{WithoutRetry()}), hangs)
	require.Equal(t, Fail, got.Verdict)
	require.Equal(t, "never returned", got.Outcome)
	require.Equal(t, []string{"the call had not returned after 5m0s"}, got.Reasons)
}

// A bubble that has ended keeps what is asleep in it, for good; see leave.
func TestWhoSleepsInACellEndsWithIt(t *testing.T) {
	got := runCell(t, cellOf(t, "503-once/GET"), configure(t, nil), planted("leaves a goroutine"))
	require.Equal(t, Fail, got.Verdict)
	var stacks strings.Builder
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&stacks, 2))
	require.NotContains(t, stacks.String(), "created by example.com/brunt/resilience/resiliencetest.(*retrying)")
}

// What a client leaves when all is well is said there, and not in every other line again.
func TestBodiesThatAreAlwaysLeft(t *testing.T) {
	wrap := planted("never closes a request's body")
	cfg := prepare(t, wrap, nil)
	require.True(t, cfg.leavesBodies)
	require.Equal(t, Fail, runCell(t, cellOf(t, "calm/PUT"), cfg, wrap).Verdict)
	require.Equal(t, Pass, runCell(t, cellOf(t, "503-once/PUT"), cfg, wrap).Verdict)
	require.False(t, prepare(t, planted(""), nil).leavesBodies)
}

// A client may refuse calls for a while after one has failed, as a breaker does.
func TestAClientMayRefuseForAWhile(t *testing.T) {
	refuses := func(until time.Duration) wrapFunc {
		return func(base http.RoundTripper) http.RoundTripper {
			var failed time.Time
			return transportFunc(func(req *http.Request) (*http.Response, error) {
				if !failed.IsZero() && time.Since(failed) < until {
					return nil, errors.New("refused")
				}
				resp, err := base.RoundTrip(req)
				if err != nil {
					failed = time.Now()
				}
				return resp, err
			})
		}
	}
	cfg := configure(t, []TransportOption{WithoutRetry()})
	require.Equal(t, Pass, runCell(t, cellOf(t, "refused-forever/GET"), cfg, refuses(time.Minute)).Verdict)
	got := runCell(t, cellOf(t, "refused-forever/GET"), cfg, refuses(2*time.Minute))
	require.Equal(t, []string{`a minute after all was well again a call still fails: Get "http://api.test/work": refused`}, got.Reasons)
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
