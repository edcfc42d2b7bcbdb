// Package fakebench is what the tests of benchrun and the benchmark binary that
// they run, testdata/fake, tell each other.
package fakebench

// Benchmark is one that the file File in the directory of the process declares.
type Benchmark struct {
	Name      string
	Allocs    float64
	Print     string   // to standard output, in the middle of the line
	Fail      string   // with this message
	Subs      []string // names of sub-benchmarks; the benchmark itself reports nothing then
	Blocks    bool     // until killed, once started is written
	Leaves    bool     // a child process running
	FailAlone bool     // when it is not run together with others
}

// Launch is what a process knows about how it was started; it appends that to the
// file that the environment variable Log names.
type Launch struct {
	PID            int
	Dir, PWD, Temp string
	Bench, Time    string
	Procs          string
}

// The names that both sides must agree on.
const (
	Pkg  = "example.com/fake" // what the binary says it is of
	File = "benchmarks.json"  // a list of Benchmark
	Log  = "BRUNT_FAKE_LOG"
)
