package http1

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is filled in is as if it had been there from the beginning.
func TestPatternsWriteWhatNetHTTPWrites(t *testing.T) {
	post := func(path, header string) *http.Request {
		hr, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://h"+path, nil)
		require.NoError(t, err)
		hr.Header["X"] = []string{"1", header}
		return hr
	}
	for _, body := range []string{"", "b", strings.Repeat("b", MaxInlineBody), strings.Repeat("b", MaxInlineBody+1)} {
		for _, closes := range []bool{false, true} {
			p, err := NewPattern(post("/mark1", "mark0"), []string{"mark0", "/mark1"}, body != "", closes)
			require.NoError(t, err)
			shortest, err := NewRequest(post("/a?b", ""), []byte(body), closes)
			require.NoError(t, err)
			most := maxInlineBytes - len(shortest.bytes) // to be written in one go
			for _, long := range []int{1, 9000, most, most + 1} {
				header := strings.Repeat("v", long)
				want, err := NewRequest(post("/a?b", header), []byte(body), closes)
				require.NoError(t, err)
				got := p.Fill([]string{header, "/a?b"}, []byte(body))
				require.Equal(t, want, got)
				require.Equal(t, len(body) <= MaxInlineBody && long <= most, got.inline)
			}
		}
	}
	_, err := NewPattern(post("/mark0", "mark0"), []string{"mark0"}, false, false)
	require.EqualError(t, err, `"mark0" stands 2 times in the head`)
	_, err = NewPattern(post("/", ""), []string{"mark0"}, false, false)
	require.EqualError(t, err, `"mark0" stands 0 times in the head`)
}
