package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/internal/ring"
)

// scripted is a connection to no server: what is read from it stands in the test.
type scripted struct {
	net.Conn
	wrong error     // of Peek
	reads []reading // then the server has closed it
	fails int       // the call of Write that fails, the first being 1; 0 for none
	wrote int       // by the call that fails

	peeks, writes int
}

// reading is what a call of Read does: wait, act and return.
type reading struct {
	text   string
	behind string // scribbled behind the text, as a Reader may
	err    error
	wait   time.Duration
	act    func()
}

func (c *scripted) Peek() error { c.peeks++; return c.wrong }

func (c *scripted) Write(p []byte) (int, error) {
	c.writes++
	if c.writes == c.fails {
		return c.wrote, errTest
	}
	return len(p), nil
}

func (c *scripted) Read(p []byte) (int, error) {
	if len(c.reads) == 0 {
		return 0, io.EOF
	}
	r := c.reads[0]
	c.reads = c.reads[1:]
	time.Sleep(r.wait)
	if r.act != nil {
		r.act()
	}
	n := copy(p, r.text)
	copy(p[n:], r.behind)
	return n, r.err
}

func (c *scripted) SetDeadline(time.Time) error { return nil }
func (c *scripted) Close() error                { return nil }

// script returns the configuration of a client whose connections are those, one after the
// other, and how many of them there have been.
func script(conns ...net.Conn) (Config, *int) {
	n := new(int)
	return Config{Dial: func(context.Context, string, string) (net.Conn, error) {
		if *n++; *n > len(conns) {
			return nil, errTest
		}
		return conns[*n-1], nil
	}}, n
}

// What may have had an effect is not sent again, and what had none fails no request.
func TestWhatIsSentAgain(t *testing.T) {
	const long = 2 * maxInlineBytes
	ok, eof := reading{text: okResponse}, reading{err: io.EOF}
	forCodecs(t, func(t *testing.T, k codec) {
		for name, tt := range map[string]struct {
			method string
			size   int
			conn   scripted
			again  bool
		}{
			"the first of a connection":      {http.MethodGet, 0, scripted{reads: []reading{eof}}, false},
			"idempotent":                     {http.MethodGet, 0, scripted{reads: []reading{ok, eof}}, true},
			"not idempotent":                 {http.MethodPost, 0, scripted{reads: []reading{ok, eof}}, false},
			"not idempotent, with a body":    {http.MethodPost, 1, scripted{reads: []reading{ok, eof}}, false},
			"not idempotent, with a long":    {http.MethodPost, long, scripted{reads: []reading{ok, eof}}, false},
			"nothing was written":            {http.MethodPost, 0, scripted{reads: []reading{ok, eof}, fails: 2}, true},
			"nothing of a body":              {http.MethodPost, 1, scripted{reads: []reading{ok, eof}, fails: 2}, true},
			"nothing of a long body":         {http.MethodPost, long, scripted{reads: []reading{ok, eof}, fails: 3}, true},
			"some was written":               {http.MethodPost, 0, scripted{reads: []reading{ok, eof}, fails: 2, wrote: 1}, false},
			"some with a body":               {http.MethodPost, 1, scripted{reads: []reading{ok, eof}, fails: 2, wrote: 1}, false},
			"some with a long body":          {http.MethodPost, long, scripted{reads: []reading{ok, eof}, fails: 4}, false},
			"some came back":                 {http.MethodGet, 0, scripted{reads: []reading{ok, {text: "H"}, eof}}, false},
			"reads of nothing are no answer": {http.MethodGet, 0, scripted{reads: []reading{ok, {}, eof}}, true},
			"an answer after one":            {http.MethodGet, 0, scripted{reads: []reading{ok, {}, {text: "H"}, eof}}, false},
			"malformed":                      {http.MethodGet, 0, scripted{reads: []reading{ok, {text: strings.Repeat("x", len(okResponse)-1) + "\n", behind: okResponse}}}, false},
		} {
			cfg, dialed := script(&tt.conn, &scripted{reads: []reading{ok}})
			s := k.open(t, cfg)
			req := request(t, tt.method, "http://scripted/", make([]byte, tt.size))
			if tt.conn.reads[0].text == okResponse {
				_, err := s.Do(t.Context(), req, false)
				require.NoError(t, err, name)
			}
			_, err := s.Do(t.Context(), req, false)
			if tt.again {
				require.NoError(t, err, name)
				require.Equal(t, 2, *dialed, name)
			} else {
				require.Error(t, err, name)
				require.Equal(t, 1, *dialed, name)
			}
		}
	})
}

// Nothing is sent again for a caller who has gone, nor by a client that is closed.
func TestNothingIsSentAgainAfterTheEnd(t *testing.T) {
	forCodecs(t, func(t *testing.T, k codec) {
		ctx, cancel := context.WithCancelCause(t.Context())
		ending := &scripted{reads: []reading{{text: okResponse}, {err: io.EOF, act: func() { cancel(errTest) }}}}
		closing := &scripted{reads: []reading{{text: okResponse}, {err: io.EOF}}}
		for _, tt := range []struct {
			ctx  context.Context
			conn *scripted
			want error
		}{{ctx, ending, errTest}, {t.Context(), closing, errClosed}} {
			cfg, dialed := script(tt.conn, &scripted{reads: []reading{{text: okResponse}}})
			c := k.client(t, cfg)
			s := c.Session()
			closing.reads[1].act = func() { c.Close() }
			_, err := s.Do(tt.ctx, get(t, "http://scripted/"), false)
			require.NoError(t, err)
			_, err = s.Do(tt.ctx, get(t, "http://scripted/"), false)
			require.ErrorIs(t, err, tt.want)
			require.Equal(t, 1, *dialed)
			s.Close()
		}
	})
}

// A look at the connection costs a system call. It is worth it where the request could not
// be sent again, or the connection was idle, and a new one is not looked at.
func TestWhenSessionsLookFirst(t *testing.T) {
	forCodecs(t, func(t *testing.T, k codec) {
		for _, tt := range []struct {
			method string
			size   int
			kept   int // looks before the second request, over the same connection
			idle   int // and if it came from the pool
		}{
			{http.MethodGet, 0, 0, 1},
			{http.MethodPost, 0, 1, 1},
			{http.MethodPost, 2 * maxInlineBytes, 1, 1},
		} {
			for _, parked := range []bool{false, true} {
				want := tt.kept
				first := &scripted{reads: []reading{{text: okResponse}, {text: okResponse}, {text: okResponse}}}
				cfg, dialed := script(first, &scripted{wrong: errTest, reads: []reading{{text: okResponse}}})
				s := k.open(t, cfg)
				req := request(t, tt.method, "http://scripted/", make([]byte, tt.size))
				do := func() {
					r, err := s.Do(t.Context(), req, false)
					require.NoError(t, err)
					require.Equal(t, 200, r.StatusCode)
				}
				do()
				require.Zero(t, first.peeks, "new")
				if parked {
					want = tt.idle
					s.Park()
				}
				do()
				require.Equal(t, want, first.peeks)
				wrote := first.writes
				first.wrong = errTest
				s.Park()
				do()
				require.Equal(t, wrote, first.writes, "given up")
				require.Equal(t, 2, *dialed)
			}
		}
	})
}

// Only a connection that both sides have done with is used again.
func TestWhatIsKept(t *testing.T) {
	forCodecs(t, func(t *testing.T, k codec) {
		for name, tt := range map[string]struct {
			response string
			err      error
			closes   bool
			kept     bool
		}{
			"as a rule":            {okResponse, nil, false, true},
			"more followed":        {okResponse + "x", nil, false, false},
			"the server ended":     {okResponse, io.EOF, false, false},
			"the server will end":  {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", nil, false, false},
			"an old server's":      {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", nil, false, false},
			"hints before":         {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + okResponse, nil, false, true},
			"speaks HTTP/2 too":    {"HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n", nil, false, true},
			"the request said not": {okResponse, nil, true, false},
		} {
			if tt.closes && k.config.Codec == ReadResponse {
				continue
			}
			first := &scripted{reads: []reading{{text: tt.response, err: tt.err}, {text: okResponse}}}
			cfg, dialed := script(first, &scripted{reads: []reading{{text: okResponse}}})
			s := k.open(t, cfg)
			req := get(t, "http://scripted/")
			req.closes = tt.closes
			for range 2 {
				r, err := s.Do(t.Context(), req, false)
				require.NoError(t, err, name)
				require.Equal(t, 200, r.StatusCode, name)
			}
			require.Equal(t, tt.kept, *dialed == 1, name)
		}
	})
}

// With net/http's reader another protocol is a body that ends with the connection; without
// one that both sides agree on there is none. The parser refuses them.
func TestSwitchingProtocols(t *testing.T) {
	for header, want := range map[string]int64{
		"Connection: Upgrade\r\nUpgrade: x\r\n": 5,
		"Connection: Upgrade\r\n":               0,
		"Upgrade: x\r\n":                        0,
	} {
		cfg, dialed := script(&scripted{reads: []reading{{text: "HTTP/1.1 101 Switching Protocols\r\n" + header + "\r\nother"}}},
			&scripted{reads: []reading{{text: okResponse}}})
		s := codecs[0].open(t, cfg)
		r, err := s.Do(t.Context(), get(t, "http://scripted/"), false)
		require.NoError(t, err, header)
		require.Equal(t, 101, r.StatusCode)
		require.Equal(t, want, r.Bytes, header)
		_, err = s.Do(t.Context(), get(t, "http://scripted/"), false)
		require.NoError(t, err)
		require.Equal(t, 2, *dialed)
	}
}

// A head that is too long is told from one that is malformed.
func TestRefusedHeads(t *testing.T) {
	const line = "X: 0123456789\r\n"
	long := []reading{{text: "HTTP/1.1 200 OK\r\n"}}
	for range MaxHeaderBytes/len(line) + 1 {
		long = append(long, reading{text: line})
	}
	for want, reads := range map[string][]reading{
		"response headers exceed 1048576 bytes": long,
		`malformed HTTP status code "abc"`:      {{text: "HTTP/1.1 abc\r\n\r\n"}},
	} {
		cfg, _ := script(&scripted{reads: reads})
		_, err := codecs[0].open(t, cfg).Do(t.Context(), get(t, "http://scripted/"), false)
		require.EqualError(t, errors.Unwrap(errors.Unwrap(err)), want)
	}
}

// Whoever asks for one header gets that, and who keeps the body all of them.
func TestWhatIsKnownOfAHeader(t *testing.T) {
	for _, tt := range []struct {
		wants string
		keep  bool
		want  http.Header
	}{
		{"", false, nil},
		{"a", false, http.Header{"A": {"1"}}},
		{"c", false, http.Header{}},
		{"", true, http.Header{"A": {"1"}, "B": {"2"}, "Content-Length": {"0"}}},
	} {
		cfg, _ := script(&scripted{reads: []reading{{text: "HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nContent-Length: 0\r\n\r\n"}}})
		s := codec{}.open(t, cfg)
		req := get(t, "http://scripted/")
		req.Wants = tt.wants
		r, err := s.Do(t.Context(), req, tt.keep)
		require.NoError(t, err)
		require.Equal(t, tt.want, r.Header)
	}
}

// The last phase begins with the body, if there is one.
func TestPhasesOfAResponse(t *testing.T) {
	forCodecs(t, func(t *testing.T, k codec) {
		synctest.Test(t, func(t *testing.T) {
			for name, tt := range map[string]struct {
				reads []reading
				want  map[Phase]time.Duration
			}{
				"at once": {[]reading{{wait: 3, text: okResponse}}, map[Phase]time.Duration{PhasePool: 0, PhaseHeaders: 3, PhaseBody: 0}},
				"no body": {[]reading{{wait: 3, text: "HTTP/1.1 204 No Content\r\n\r\n"}}, map[Phase]time.Duration{PhasePool: 0, PhaseHeaders: 3}},
				"byte by byte": {[]reading{
					{wait: 3, text: okResponse[:9]},
					{wait: 4, text: okResponse[9 : len(okResponse)-2]},
					{wait: 5, text: "o"},
					{wait: 6, text: "k"},
				}, map[Phase]time.Duration{PhasePool: 0, PhaseHeaders: 7, PhaseBody: 11}},
			} {
				cfg, _ := script(&scripted{reads: tt.reads})
				cfg.Phases = true
				s := k.open(t, cfg)
				_, err := s.Do(t.Context(), get(t, "http://scripted/"), false)
				require.NoError(t, err, name)
				got := make(map[Phase]time.Duration)
				s.Clock().End(func(p Phase, spent time.Duration) { got[p] = spent })
				require.Equal(t, tt.want, got, name)
				s.Close()
			}
		})
	})
}

// Of a session that is closed others may use the connection, unless it was private.
func TestWhoseConnectionsAre(t *testing.T) {
	forCodecs(t, func(t *testing.T, k codec) {
		twice := func() net.Conn { return &scripted{reads: []reading{{text: okResponse}, {text: okResponse}}} }
		cfg, dialed := script(twice(), twice())
		c := k.client(t, cfg)
		for i, s := range []*Session{c.Session(), c.Session(), c.PrivateSession()} {
			_, err := s.Do(t.Context(), get(t, "http://scripted/"), false)
			require.NoError(t, err)
			require.Equal(t, 1+i/2, *dialed)
			require.Equal(t, *dialed, c.Conns.Open())
			s.Close()
		}
		require.Equal(t, 1, c.Conns.Open())
	})
}

// ringed is a connection that writes and reads once by itself.
type ringed struct {
	*scripted
	exchanges int
}

func (c *ringed) Exchange(_ []byte, in *ring.Buffer, _ bool) (wrote, read int, err error) {
	c.exchanges++
	read, err = c.Read(in.Room(0))
	return 1, read, err
}

// A long body is written while its response is looked for, as the server may read no
// more of it before somebody reads what it answers; a short one is not worth it.
func TestWhatIsWrittenAtOnce(t *testing.T) {
	for size, want := range map[int]int{0: 1, 1: 1, MaxInlineBody: 1, MaxInlineBody + 1: 0} {
		conn := &ringed{scripted: &scripted{reads: []reading{{text: okResponse}}}}
		cfg, _ := script(conn)
		_, err := codec{}.open(t, cfg).Do(t.Context(), request(t, http.MethodPost, "http://scripted/", make([]byte, size)), false)
		require.NoError(t, err)
		require.Equal(t, want, conn.exchanges, size)
	}
}
