//go:build !race

package loadtest

const raceDetector = false // see wire_ring_race.go
