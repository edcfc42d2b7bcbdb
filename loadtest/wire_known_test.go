package loadtest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const knownResponse = "HTTP/1.1 200 OK\r\nDate: Thu, 26 Nov 2026 08:00:00 GMT\r\nContent-Length: 2\r\n\r\nok"

// know returns a parser that has read stream, at once, in response to a GET.
func know(t *testing.T, stream string) *wireParser {
	t.Helper()
	w := new(wireParser)
	require.NoError(t, w.parse([]byte(stream), false, false, len(stream)).err)
	return w
}

// recalls says how much of stream a parser takes for what it knows.
func (w *wireParser) recalls(stream string, head, keep bool, limit int64) int {
	w.reset(head, keep, limit)
	return w.recall([]byte(stream))
}

func TestKnownHead(t *testing.T) {
	const limit = defaultMaxResponseBytes
	size := len(knownResponse) - len("ok")
	w := know(t, knownResponse)
	require.Equal(t, size, w.recalls(knownResponse, false, false, limit))
	require.Equal(t, size, w.recalls(knownResponse[:size], false, false, limit), "the body comes later")

	require.Zero(t, w.recalls(knownResponse[:size-1], false, false, limit), "too short")
	require.Zero(t, w.recalls(strings.Replace(knownResponse, "08:00", "08:01", 1), false, false, limit))
	require.Zero(t, w.recalls(knownResponse, true, false, limit), "HEAD")
	require.Zero(t, w.recalls(knownResponse, false, true, limit), "a Check wants the header")
	require.Zero(t, w.recalls(knownResponse, false, false, 1), "a limit that it breaks")
}

func TestKnownHeadIsTheLastOne(t *testing.T) {
	w := know(t, knownResponse)
	other := "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 7\r\n\r\nmissing"
	for range 2 {
		require.Equal(t, parsed{status: 404, closes: true, bytes: 7}, w.parse([]byte(other), false, false, len(other)))
	}
	require.Zero(t, w.recalls(knownResponse, false, false, defaultMaxResponseBytes))
	require.Equal(t, parsed{status: 200, bytes: 2}, w.parse([]byte(knownResponse), false, false, len(knownResponse)))
}

func TestKnownHeadIsWhole(t *testing.T) {
	var w wireParser
	require.NoError(t, w.parse([]byte(knownResponse), false, false, 20).err)
	require.Nil(t, w.known, "it came in pieces")

	require.NoError(t, w.parse([]byte(knownResponse), false, true, len(knownResponse)).err)
	require.Nil(t, w.known, "heads that are kept are not compared")

	long := strings.Replace(knownResponse, "Date", strings.Repeat("D", maxKnownHead), 1)
	require.NoError(t, w.parse([]byte(long), false, false, len(long)).err)
	require.Nil(t, w.known, "it is too long to be kept")

	bad := "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"
	require.ErrorIs(t, w.parse([]byte(bad), false, false, len(bad)).err, ErrProtocol)
	require.Nil(t, w.known)

	interim := "HTTP/1.1 103 Early Hints\r\n\r\n" + knownResponse
	for range 2 {
		require.Equal(t, parsed{status: 200, bytes: 2}, w.parse([]byte(interim), false, false, len(interim)))
	}
	require.Zero(t, w.recalls(knownResponse, false, false, defaultMaxResponseBytes))
	require.Equal(t, len(interim)-len("ok"), w.recalls(interim, false, false, defaultMaxResponseBytes))
}

// An interim response counts towards the limit on all heads, wherever a read ends.
func TestKnownHeadCountsInterimOnes(t *testing.T) {
	w := know(t, knownResponse)
	interim := func(size int) string {
		const before, after = "HTTP/1.1 103 Early Hints\r\nLink: ", "\r\n\r\n"
		return before + strings.Repeat("x", size-len(before+after)) + after
	}
	many := strings.Repeat(interim(1024), maxHeaderBytes/1024-1) + interim(1000)
	got := w.parse([]byte(many+knownResponse), false, false, len(many))
	var bad *ProtocolError
	require.ErrorAs(t, got.err, &bad)
	require.Equal(t, reasonHeaderSize, bad.Reason)
}

func TestKnownHeadCostsNoMemoryAgain(t *testing.T) {
	streams := [][]byte{[]byte(knownResponse), []byte(strings.Replace(knownResponse, "200 OK", "201 Created", 1))}
	var w wireParser
	read := func() { // each twice: known, and not
		for i := range 2 * len(streams) {
			w.reset(false, false, defaultMaxResponseBytes)
			stream := streams[i/2]
			if n, err := w.feed(stream); err != nil || n != len(stream) || w.state != wireDone {
				t.Fatal(n, err, w.state)
			}
		}
	}
	read()
	require.Zero(t, testing.AllocsPerRun(1000, read))
}
