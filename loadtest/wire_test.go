package loadtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
)

func TestWireSmoke(t *testing.T) {
	fixtures.NoLeaks(t)
	srv := fixtures.NewServer(t)
	for _, cfg := range []EngineConfig{SyncConfig{Client: Wire(ConnectionConfig{})}, ThreadedConfig{Client: Wire(ConnectionConfig{})}, AsyncConfig{Client: Wire(ConnectionConfig{Pooling: PoolNaive})}} {
		e := Start(t, cfg)
		r, err := e.Run(t.Context(), Times(1000, Get(srv.URL+"/get")))
		require.NoError(t, err)
		t.Log(r)
	}
}
