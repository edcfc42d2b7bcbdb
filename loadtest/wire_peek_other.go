//go:build !unix

package loadtest

// canPeek is for Unix only; see wire_peek_unix.go.
const canPeek = false

func (*wireConn) peek() error { return nil }
