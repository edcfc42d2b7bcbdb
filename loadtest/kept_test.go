package loadtest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKept(t *testing.T) {
	var k kept[string]
	built := map[string]int{}
	build := func(r *Request) (string, error) {
		if r == nil || r.URL == "" {
			return "", errTest
		}
		built[r.URL]++
		return "made of " + r.URL, nil
	}
	_, err := k.get(nil, build)
	require.ErrorIs(t, err, errTest, "no request is not the last one")
	reqs := make([]*Request, 3*maxKeptRequests)
	for i := range reqs {
		reqs[i] = Get(fmt.Sprint(i))
	}
	get := func(r *Request) {
		t.Helper()
		p, err := k.get(r, build)
		require.NoError(t, err)
		require.Equal(t, "made of "+r.URL, p)
		require.LessOrEqual(t, len(k.all), maxKeptRequests)
	}
	for range 2 {
		get(reqs[0])
	}
	require.Nil(t, k.all, "one request needs no map")
	for range 3 {
		for _, r := range reqs[:maxKeptRequests] {
			get(r)
		}
	}
	for url, n := range built {
		require.Equal(t, 1, n, url)
	}
	for _, r := range reqs {
		get(r)
	}
	_, err = k.get(&Request{}, build)
	require.ErrorIs(t, err, errTest)
	get(reqs[len(reqs)-1])
	require.Equal(t, 1, built[reqs[len(reqs)-1].URL], "an error replaces nothing")
}
