package peers_test

import (
	"testing"

	"go.uber.org/goleak"

	"example.com/brunt/peers/target"
)

func TestMain(m *testing.M) {
	target.ServeIfChild()
	goleak.VerifyTestMain(m)
}

// serve starts a server in this process and closes it when the test has ended.
func serve(t *testing.T) string {
	t.Helper()
	s, err := target.Start(target.Fast)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.URL
}
