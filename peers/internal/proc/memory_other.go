//go:build !linux

package proc

// PeakRSS is the most physical memory that a running process has held so far, in
// bytes.
func PeakRSS(int) (int64, error) { return 0, ErrUnsupported }
