package peers

import "slices"

// Scale is from how many connections on it is their number that is the claim, and
// not the speed.
const Scale = 1000

// Base is the number of connections that memory at scale is compared with.
const Base = 100

var (
	overHTTP = []string{BruntThreaded, BruntAsync}
	wires    = []string{WireThreaded, WireAsync}
)

// Bounds are the claims about clients beside a server in another process. Those on
// speed are in the client's CPU time: with the client as the limit that is the rate,
// and on a machine that other programs use it is the steadier of the two. The wire
// client is held to them as it runs on Linux; over a plain net.Conn it is measured and
// held to nothing.
func Bounds(connections []int) []Bound {
	var out []Bound
	for _, n := range connections {
		if n >= Scale {
			out = append(out, atScale(n)...)
			continue
		}
		faster := func(subjects []string, limit float64, references ...string) {
			for _, s := range subjects {
				for _, r := range references {
					out = append(out, Bound{
						Subject: s, Reference: r, Connections: n, Limit: limit, AtLeast: true,
						Quantity: perCPU, Metric: Measurement.PerCPUSecond,
					})
				}
			}
		}
		faster(wires, 1.15, Wrk)
		faster(wires, 5, Hey)
		faster(wires, 3.8, Vegeta)
		faster(wires, 1.25, BombardierFast)
		faster(wires, 1.1, FortioFast)
		faster(overHTTP, 1.45, Vegeta, Hey, FortioStandard)
		for _, s := range overHTTP {
			for _, loop := range []string{PlainRoundTrip, PlainDo} {
				out = append(out, Bound{
					Subject: s, Reference: loop, Connections: n, Limit: 1.05,
					Quantity: "CPU/request", Metric: Measurement.CPUPerRequest,
				})
			}
		}
		if n == 200 {
			for _, s := range wires {
				out = append(out, Bound{
					Subject: s, Connections: n, Limit: 15, Unit: "MB", Quantity: "peak RSS", Metric: Measurement.PeakRSS,
				})
			}
		}
	}
	return out
}

func atScale(n int) []Bound {
	var out []Bound
	for _, s := range wires {
		out = append(
			out,
			Bound{
				Subject: s, Connections: n, Limit: float64(n), AtLeast: true, Always: true,
				Quantity: "connections at once", Metric: Measurement.OpenConnections,
			},
			Bound{Subject: s, Connections: n, Limit: 0, Always: true, Quantity: "errors", Metric: Measurement.Errors},
			Bound{
				Subject: s, Connections: n, Base: Base, Limit: 12, Unit: "KiB",
				Quantity: "heap and stacks", Metric: Measurement.MemoryKiB,
			},
		)
	}
	return out
}

// InsideBounds are the claims about clients in one process with a net/http server.
// There the rate counts, as the CPU time is the server's too; see also [InCPUTime].
func InsideBounds(connections []int) []Bound {
	var out []Bound
	for _, n := range connections {
		for _, s := range wires {
			for _, against := range []struct {
				limit     float64
				reference string
			}{{1.8, PlainRoundTrip}, {1.8, PlainDo}, {3, PlainGet}} {
				out = append(out, Bound{
					Subject: s, Reference: against.reference, Connections: n, Limit: against.limit, AtLeast: true,
					Quantity: rate, Metric: Measurement.Rate,
				})
			}
		}
	}
	return out
}

// InCPUTime is what bounds on the rate come to when the rate is taken per second of
// CPU time. On a machine that other programs use it is the steadier of the two; on
// a quiet one, with every CPU busy, they agree.
func InCPUTime(bounds []Bound) []Bound {
	var out []Bound
	for _, b := range bounds {
		if b.Quantity == rate {
			b.Quantity, b.Metric = perCPU, Measurement.PerCPUSecond
			out = append(out, b)
		}
	}
	return out
}

// Among keeps the bounds that are about contestants and nobody else.
func Among(bounds []Bound, contestants []Contestant) []Bound {
	there := func(name string) bool {
		return slices.ContainsFunc(contestants, func(c Contestant) bool { return c.Name == name })
	}
	return slices.DeleteFunc(slices.Clone(bounds), func(b Bound) bool {
		return !there(b.Subject) || b.Reference != "" && !there(b.Reference)
	})
}

// The quantities of bounds on [Measurement.Rate] and [Measurement.PerCPUSecond].
const (
	rate   = "req/s"
	perCPU = "req/CPU s"
)
