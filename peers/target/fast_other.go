//go:build !linux

package target

// startFast has no faster way here.
func startFast(owner *Server) (*serving, error) { return startPlain(owner) }
