//go:build !linux

package target

import (
	"errors"
	"fmt"
)

func startURing(*Server) (*serving, error) {
	return nil, fmt.Errorf("io_uring: %w", errors.ErrUnsupported)
}

func startEpoll(*Server) (*serving, error) {
	return nil, fmt.Errorf("epoll: %w", errors.ErrUnsupported)
}
