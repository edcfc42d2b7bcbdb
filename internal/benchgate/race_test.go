//go:build race

package benchgate

const raceEnabled = true
