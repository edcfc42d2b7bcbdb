//go:build !unix

package schedulertest

func stop(int) {}
