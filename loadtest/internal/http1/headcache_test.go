package http1

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const cachedResponse = "HTTP/1.1 200 OK\r\nDate: Thu, 26 Nov 2026 08:00:00 GMT\r\nContent-Length: 2\r\n\r\nok"

// caching returns a parser that has read stream, at once, in response to a GET.
func caching(t *testing.T, stream string) *parser {
	t.Helper()
	w := new(parser)
	require.NoError(t, w.readAll([]byte(stream), false, false, len(stream)).err)
	return w
}

// recalls says how much of stream a parser takes for what it knows.
func (w *parser) recalls(stream string, head, keep bool, limit int64) int {
	w.reset(head, keep, limit)
	return w.recall([]byte(stream))
}

func TestCachedHead(t *testing.T) {
	const limit = testLimit
	size := len(cachedResponse) - len("ok")
	w := caching(t, cachedResponse)
	require.Equal(t, size, w.recalls(cachedResponse, false, false, limit))
	require.Equal(t, size, w.recalls(cachedResponse[:size], false, false, limit), "the body comes later")

	require.Zero(t, w.recalls(cachedResponse[:size-1], false, false, limit), "too short")
	require.Zero(t, w.recalls(strings.Replace(cachedResponse, "08:00", "08:01", 1), false, false, limit))
	require.Zero(t, w.recalls(cachedResponse, true, false, limit), "HEAD")
	require.Zero(t, w.recalls(cachedResponse, false, true, limit), "a Check wants the header")
	require.Zero(t, w.recalls(cachedResponse, false, false, 1), "a limit that it breaks")
}

func TestCachedHeadIsTheLastOne(t *testing.T) {
	w := caching(t, cachedResponse)
	other := "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 7\r\n\r\nmissing"
	for range 2 {
		require.Equal(t, parsed{status: 404, closes: true, bytes: 7}, w.readAll([]byte(other), false, false, len(other)))
	}
	require.Zero(t, w.recalls(cachedResponse, false, false, testLimit))
	require.Equal(t, parsed{status: 200, bytes: 2}, w.readAll([]byte(cachedResponse), false, false, len(cachedResponse)))
}

func TestCachedHeadIsWhole(t *testing.T) {
	var w parser
	require.NoError(t, w.readAll([]byte(cachedResponse), false, false, 20).err)
	require.Nil(t, w.cached, "it came in pieces")

	require.NoError(t, w.readAll([]byte(cachedResponse), false, true, len(cachedResponse)).err)
	require.Nil(t, w.cached, "heads that are kept are not compared")

	long := strings.Replace(cachedResponse, "Date", strings.Repeat("D", maxCachedHead), 1)
	require.NoError(t, w.readAll([]byte(long), false, false, len(long)).err)
	require.Nil(t, w.cached, "it is too long to be kept")

	spare := maxCachedHead - (len(cachedResponse) - len("ok"))
	long = strings.Replace(cachedResponse, "Date", "Date"+strings.Repeat("e", spare), 1)
	require.Equal(t, maxCachedHead, caching(t, long).recalls(long, false, false, testLimit), "it is as long as may be")

	bad := "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"
	require.ErrorAs(t, w.readAll([]byte(bad), false, false, len(bad)).err, new(*ProtocolError))
	require.Nil(t, w.cached)

	interim := "HTTP/1.1 103 Early Hints\r\n\r\n" + cachedResponse
	for range 2 {
		require.Equal(t, parsed{status: 200, bytes: 2}, w.readAll([]byte(interim), false, false, len(interim)))
	}
	require.Zero(t, w.recalls(cachedResponse, false, false, testLimit))
	require.Equal(t, len(interim)-len("ok"), w.recalls(interim, false, false, testLimit))
}

// An interim response counts towards the limit on all heads, wherever a read ends.
func TestCachedHeadCountsInterimOnes(t *testing.T) {
	w := caching(t, cachedResponse)
	interim := func(size int) string {
		const before, after = "HTTP/1.1 103 Early Hints\r\nLink: ", "\r\n\r\n"
		return before + strings.Repeat("x", size-len(before+after)) + after
	}
	many := strings.Repeat(interim(1024), MaxHeaderBytes/1024-1) + interim(1000)
	got := w.readAll([]byte(many+cachedResponse), false, false, len(many))
	var bad *ProtocolError
	require.ErrorAs(t, got.err, &bad)
	require.Equal(t, "headers too large", bad.Reason)
}

func TestCachedHeadCostsNoMemoryAgain(t *testing.T) {
	streams := [][]byte{[]byte(cachedResponse), []byte(strings.Replace(cachedResponse, "200 OK", "201 Created", 1))}
	var w parser
	read := func() { // each twice: known, and not
		for i := range 2 * len(streams) {
			w.reset(false, false, testLimit)
			stream := streams[i/2]
			if n, err := w.feed(stream); err != nil || n != len(stream) || w.state != stateDone {
				t.Fatal(n, err, w.state)
			}
		}
	}
	read()
	require.Zero(t, testing.AllocsPerRun(1000, read))
}
