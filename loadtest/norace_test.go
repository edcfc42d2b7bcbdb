//go:build !race

package loadtest

const raceEnabled = false

// fewer returns n: without the race detector as often as is worthwhile.
func fewer(n int) int { return n }
