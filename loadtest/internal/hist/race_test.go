//go:build race

package hist

const raceEnabled = true

// fewer returns a fifth of n: the race detector has nothing to find in one goroutine.
func fewer(n int) int { return n / 5 }
