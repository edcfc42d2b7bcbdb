//go:build !race

package benchgate

const raceEnabled = false
