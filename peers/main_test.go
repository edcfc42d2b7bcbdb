package peers_test

import (
	"testing"

	"go.uber.org/goleak"

	"example.com/brunt/peers"
	"example.com/brunt/peers/target"
)

// TestMain lets the test binary be the server, and a contestant.
func TestMain(m *testing.M) {
	target.ServeIfChild()
	peers.RunIfChild()
	goleak.VerifyTestMain(m)
}
