//go:build !unix

package http1

// CanPeek is for Unix only; see peek_unix.go.
const CanPeek = false

func (*conn) peek() error { return nil }
