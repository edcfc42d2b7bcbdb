//go:build race

package ring

// raceDetector has a ring do without io_uring. The race detector takes a write to
// a connection to come before the read that gets it, and so do tests that look at
// what a handler of theirs has left behind; it sees that of package syscall only.
const raceDetector = true
