//go:build !linux

package rawserver

import "errors"

func relisten(uintptr) error { return errors.ErrUnsupported }
