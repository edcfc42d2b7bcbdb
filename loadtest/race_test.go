//go:build race

package loadtest

const raceEnabled = true

// fewer returns a fifth of n: the race detector looks at every step of what only needs to
// be seen often, and so costs more than it shows.
func fewer(n int) int { return n / 5 }
