package target

import "errors"

// startFast takes the cheapest way to serve that the system has.
func startFast(owner *Server) (*serving, error) {
	return startFirst(owner, startURing, startEpoll, startPlain)
}

// startFirst starts the first server that the system supports.
func startFirst(owner *Server, starts ...func(*Server) (*serving, error)) (s *serving, err error) {
	for _, start := range starts {
		if s, err = start(owner); !errors.Is(err, errors.ErrUnsupported) {
			break
		}
	}
	return s, err
}
