package peers

import "time"

// Measurement is one contestant's run in one round.
type Measurement struct {
	Contestant  string
	Connections int
	// Succeeded and Failed are the requests it has accounted for.
	Succeeded, Failed int
	// Unsent and Latency are as in [Outcome].
	Unsent  int
	Latency Latency
	// Open is how many connections the server had at once.
	Open int64
	// Elapsed is the time it has taken by its own account, Lifetime that of its
	// process.
	Elapsed, Lifetime time.Duration
	// CPU is the user and system time of its process from start to end.
	CPU time.Duration
	// ServerCPU is that of the server's process meanwhile; 0 where it cannot tell,
	// and for a server inside.
	ServerCPU time.Duration
	// RSS is the most physical memory that the process has held, in bytes; 0 where
	// the system cannot tell.
	RSS int64
	// Memory is the most that its heap and stacks took up, in bytes, and Allocs is
	// how many objects it has allocated; 0 for other programs.
	Memory, Allocs uint64
}

// Rate is requests per second of the time it has taken.
func (m Measurement) Rate() float64 { return per(float64(m.Succeeded), m.Elapsed.Seconds()) }

// CPUPerRequest is in microseconds.
func (m Measurement) CPUPerRequest() float64 {
	return per(float64(m.CPU)/float64(time.Microsecond), float64(m.Succeeded))
}

// PerCPUSecond is requests per second of the client's CPU time: the rate that the
// client would reach on a CPU to itself beside a server that is not the limit. On
// a machine that other programs use it is steadier than Rate.
func (m Measurement) PerCPUSecond() float64 { return per(float64(m.Succeeded), m.CPU.Seconds()) }

// AllocsPerRequest is in objects.
func (m Measurement) AllocsPerRequest() float64 { return per(float64(m.Allocs), float64(m.Succeeded)) }

// PeakRSS is in MB, of a million bytes.
func (m Measurement) PeakRSS() float64 { return float64(m.RSS) / 1e6 }

// RSSKiB is the same in KiB, and like MemoryKiB 0, as unknown, if it was not the
// memory of so many connections.
func (m Measurement) RSSKiB() float64 { return m.whole(float64(m.RSS) / 1024) }

// MemoryKiB is heap and stacks in KiB.
func (m Measurement) MemoryKiB() float64 { return m.whole(float64(m.Memory) / 1024) }

func (m Measurement) whole(x float64) float64 {
	if m.Open < int64(m.Connections) {
		return 0
	}
	return x
}

// OpenConnections is how many connections the server had at once.
func (m Measurement) OpenConnections() float64 { return float64(m.Open) }

// Errors is how many requests failed.
func (m Measurement) Errors() float64 { return float64(m.Failed) }

// ServerBusy is the server's CPU time as a share of the time it was driven. Near 1,
// a server on one CPU was the limit, and Rate says nothing about the client.
func (m Measurement) ServerBusy() float64 { return per(float64(m.ServerCPU), float64(m.Elapsed)) }

// ClientBusy is the client's CPU time as a share of its process's lifetime. Well
// below 1 on one CPU, the client was waiting: for the server, or because other
// programs had the CPU. Then Rate says less about it than CPUPerRequest does.
func (m Measurement) ClientBusy() float64 { return per(float64(m.CPU), float64(m.Lifetime)) }

// per is a divided by b, and 0 if there is nothing to divide by.
func per(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
