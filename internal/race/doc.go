// Package race tells tests whether the race detector looks at them.
package race

// Fewer returns n, and a fifth of it with -race: the race detector looks at every step of
// what only has to be done often, and so costs more than it shows.
func Fewer(n int) int {
	if Enabled {
		return n / 5
	}
	return n
}
