package loadtest

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
)

// Only what cannot go directly needs a transport.
func TestTransportsAreMadeWhenTheyAreNeeded(t *testing.T) {
	fixtures.NoLeaks(t)
	srv := fixtures.NewServer(t)
	c := NetHTTP(ConnectionConfig{}).(*httpClient)
	session, err := c.PrivateSession()
	require.NoError(t, err)
	s := session.(*httpSession)
	_, err = s.Do(t.Context(), Get(srv.URL+"/get"))
	require.NoError(t, err)
	require.Nil(t, s.transport)
	_, err = s.Do(t.Context(), &Request{Method: http.MethodPost, URL: srv.URL + "/get", Body: []byte("x"), Header: http.Header{"Expect": {"100-continue"}}})
	require.NoError(t, err)
	require.NotNil(t, s.transport)
	require.EqualValues(t, 2, srv.Connections())
	require.NoError(t, s.Close())
	require.NoError(t, c.Close())
	require.Zero(t, c.http1.Conns.Open())
}
