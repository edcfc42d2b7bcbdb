//go:build !linux

package loadtest

import "errors"

func relisten(uintptr) error { return errors.ErrUnsupported }
