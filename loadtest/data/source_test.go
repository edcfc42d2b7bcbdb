package data

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
)

func TestSourceUsesEachRowOnceOrInACycle(t *testing.T) {
	var mu sync.Mutex
	seen := make(map[string]int)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.URL.Path+" "+r.Header.Get("X-Password")]++
	}))
	defer server.Close()
	req := loadtest.Get(server.URL + "/${name}")
	req.Header.Set("X-Password", "${password}")
	tmpl, err := loadtest.NewTemplate(req)
	require.NoError(t, err)
	engine := loadtest.Start(t, loadtest.ThreadedConfig{MaxWorkers: 2})

	r, err := engine.Run(t.Context(), users(t).Source(tmpl))
	require.NoError(t, err, "the end of the rows is no error")
	require.EqualValues(t, 3, r.SuccessCount)
	require.Zero(t, r.Unsent)
	require.Equal(t, map[string]int{"/ann a": 1, "/bob b": 1, "/eve e": 1}, seen)

	clear(seen)
	r, err = engine.Run(t.Context(), loadtest.Take(10, users(t).Cycle().Source(tmpl)))
	require.NoError(t, err)
	require.EqualValues(t, 10, r.SuccessCount)
	require.Equal(t, map[string]int{"/ann a": 4, "/bob b": 3, "/eve e": 3}, seen)

	clear(seen)
	tmpl, err = loadtest.NewTemplate(loadtest.Get(server.URL + "/${user}"))
	require.NoError(t, err)
	_, err = engine.Run(t.Context(), users(t).Source(tmpl))
	require.ErrorIs(t, err, ErrNoColumn)
	require.ErrorContains(t, err, `: loadtest: template: ${user}: data: no column "user": there are ["name" "password"]`)
	require.Empty(t, seen)
}
