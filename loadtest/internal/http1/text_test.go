package http1

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIsASCII(t *testing.T) {
	for s, want := range map[string]bool{"": true, "h.test": true, "\x7f": true, "\u0080": false, "ä.test": false, "\xff": false} {
		require.Equal(t, want, IsASCII(s), "%q", s)
	}
}

func TestHasToken(t *testing.T) {
	for list, want := range map[string]bool{
		"close": true, "CLOSE": true, "Close": true, "a, \tclose ,b": true, "a,close": true,
		"": false, "closed": false, "clos": false, "a close": false, "cl@se": false, "CL\x2fSE": false, "{lose": false, "[lose": false,
	} {
		require.Equal(t, want, hasToken([]byte(list), "close"), "%q", list)
	}
	require.True(t, hasToken([]byte("AZ"), "az"))
	require.False(t, hasToken([]byte("@["), "`{"), "beside the letters")
}
