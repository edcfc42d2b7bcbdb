package otelsink

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"example.com/brunt/loadtest"
)

// Attributes of points. Those without the prefix are of the semantic conventions.
const (
	outcomeKey  = attribute.Key("loadtest.outcome")
	reasonKey   = attribute.Key("loadtest.reason")
	phaseKey    = attribute.Key("loadtest.phase")
	endpointKey = attribute.Key("loadtest.endpoint")
	scenarioKey = attribute.Key("loadtest.scenario")
	causeKey    = attribute.Key("loadtest.cause")
	errorKey    = attribute.Key("error.type")
	statusKey   = attribute.Key("http.response.status_code")
)

var phases = []struct {
	phase loadtest.Phase
	name  string
}{
	{loadtest.PhasePool, "pool"},
	{loadtest.PhaseDNS, "dns"},
	{loadtest.PhaseConnect, "connect"},
	{loadtest.PhaseTLS, "tls"},
	{loadtest.PhaseHeaders, "headers"},
	{loadtest.PhaseBody, "body"},
}

// state is what there is to export.
type state struct {
	start, now time.Time              // the counting began, and is up to
	result     *loadtest.EngineResult // of all runs

	inFlight         int
	heap             uint64
	elapsed, planned time.Duration           // of the latest run; 0: there is none
	causes           map[loadtest.Cause]bool // seen so far, and whether it holds
}

// metrics returns what the package's documentation lists. A metric without points is left
// out, as is a histogram of what the run does not measure.
func (s *state) metrics() []metricdata.Metrics {
	r := s.result
	out := []metricdata.Metrics{
		s.counter("loadtest.requests", "{request}", "Requests sent, by what became of them.",
			count(r.SuccessCount, outcomeKey.String("success")),
			count(r.ErrorCount, outcomeKey.String("error")),
			count(r.OtherCount, outcomeKey.String("other"))),
		s.counter("loadtest.errors", "{error}", "Errors by class.", counts(r.Errors, func(class loadtest.ErrorClass) attribute.KeyValue {
			return errorKey.String(class.String())
		})...),
		s.counter("loadtest.responses", "{response}", "Responses by status.", counts(r.StatusCodes, statusKey.Int)...),
		s.counter("loadtest.unsent", "{request}", "Requests that were due and not sent: rejected by the engine's breaker, missed by the generator, dropped at MaxInFlight, canceled with the run.",
			count(r.RejectedCount, reasonKey.String("rejected")),
			count(r.Missed, reasonKey.String("missed")),
			count(r.Dropped, reasonKey.String("dropped")),
			count(r.Canceled, reasonKey.String("canceled"))),
		s.counter("loadtest.scheduled", "{request}", "Arrivals that came due in an open loop.", count(r.Scheduled)),
		s.counter("loadtest.retries", "{attempt}", "Attempts beyond the first of each request.", count(r.Retries)),
		s.counter("loadtest.received", "By", "Bytes of response bodies.", count(r.BytesRead)),
		s.counter("loadtest.connections", "{connection}", "Connections opened; 0 where the client does not count them.", count(r.ConnectionsOpened)),
		s.counter("loadtest.users", "{user}", "Users that have ended their scenario.", users(r.Scenarios)...),

		s.sum("loadtest.in_flight", "{request}", "Requests being attempted.", false, count(int64(s.inFlight))), // adds up over shards
		s.gauge("loadtest.heap", "By", "Largest heap of this process in the last interval.", float64(s.heap)),
		s.gauge("loadtest.elapsed", "s", "Time since the run began.", s.elapsed.Seconds()),
		s.gauge("loadtest.planned", "s", "Planned length of the run; 0 without one.", s.planned.Seconds()),
		s.cause(),

		s.histogram("loadtest.response.duration", "Time from when a request was due, or in a closed loop sent, to its end.", outcomes(&r.Stats)...),
		s.histogram("loadtest.service.duration", "Time from when a request was sent to its end.", timing{h: r.ServiceHistogram()}),
		s.histogram("loadtest.lag.duration", "How long after it was due a request was sent, in an open loop.", timing{h: r.LagHistogram()}),
		s.histogram("loadtest.server.duration", "Time that the server reported.", timing{h: r.ServerHistogram()}),
		s.histogram("loadtest.phase.duration", "Time that requests spent in a phase.", spent(&r.Stats)...),
		s.histogram("loadtest.endpoint.duration", "As loadtest.response.duration, of the requests of a name.", endpoints(r.Endpoints)...),
		s.histogram("loadtest.scenario.duration", "Time from a user's arrival to the end of its scenario, of those that finished.", walks(r.Scenarios)...),
	}
	return slices.DeleteFunc(out, func(m metricdata.Metrics) bool { return m.Data == nil })
}

// number is one point of a counter.
type number struct {
	value int64
	of    []attribute.KeyValue
}

func count(value int64, of ...attribute.KeyValue) number { return number{value, of} }

// counts returns a number for each key of values.
func counts[K cmp.Ordered](values map[K]int64, attribute func(K) attribute.KeyValue) (out []number) {
	for _, k := range slices.Sorted(maps.Keys(values)) {
		out = append(out, count(values[k], attribute(k)))
	}
	return out
}

func users(scenarios map[string]*loadtest.ScenarioStats) (out []number) {
	for _, name := range slices.Sorted(maps.Keys(scenarios)) {
		u, of := scenarios[name], scenarioKey.String(name)
		out = append(out,
			count(u.Finished, of, outcomeKey.String("finished")),
			count(u.Failed, of, outcomeKey.String("failed")),
			count(u.Canceled, of, outcomeKey.String("canceled")))
	}
	return out
}

// timing is one point of a histogram.
type timing struct {
	h  loadtest.Histogram
	of []attribute.KeyValue
}

// outcomes returns the latencies of s without and with an error.
func outcomes(s *loadtest.Stats, of ...attribute.KeyValue) []timing {
	return []timing{
		{s.SuccessHistogram(), append(slices.Clone(of), outcomeKey.String("success"))},
		{s.ErrorHistogram(), append(slices.Clone(of), outcomeKey.String("error"))},
	}
}

func spent(s *loadtest.Stats) (out []timing) {
	for _, p := range phases {
		out = append(out, timing{s.PhaseHistogram(p.phase), []attribute.KeyValue{phaseKey.String(p.name)}})
	}
	return out
}

func endpoints(byName map[string]*loadtest.Stats) (out []timing) {
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, outcomes(byName[name], endpointKey.String(name))...)
	}
	return out
}

func walks(scenarios map[string]*loadtest.ScenarioStats) (out []timing) {
	for _, name := range slices.Sorted(maps.Keys(scenarios)) {
		out = append(out, timing{scenarios[name].Histogram(), []attribute.KeyValue{scenarioKey.String(name)}})
	}
	return out
}

func (s *state) counter(name, unit, description string, numbers ...number) metricdata.Metrics {
	return s.sum(name, unit, description, true, numbers...)
}

func (s *state) sum(name, unit, description string, monotonic bool, numbers ...number) metricdata.Metrics {
	m := metricdata.Metrics{Name: name, Unit: unit, Description: description}
	if len(numbers) == 0 {
		return m
	}
	data := metricdata.Sum[int64]{Temporality: metricdata.CumulativeTemporality, IsMonotonic: monotonic}
	for _, n := range numbers {
		data.DataPoints = append(data.DataPoints, metricdata.DataPoint[int64]{
			Attributes: attribute.NewSet(n.of...), StartTime: s.start, Time: s.now, Value: n.value,
		})
	}
	m.Data = data
	return m
}

func (s *state) gauge(name, unit, description string, value float64) metricdata.Metrics {
	return metricdata.Metrics{Name: name, Unit: unit, Description: description, Data: metricdata.Gauge[float64]{
		DataPoints: []metricdata.DataPoint[float64]{{Time: s.now, Value: value}},
	}}
}

// cause has a point for each cause that the runs have shown: 1 while it holds.
func (s *state) cause() metricdata.Metrics {
	m := metricdata.Metrics{Name: "loadtest.cause", Description: "1 while the last interval shows the cause, else 0."}
	var data metricdata.Gauge[int64]
	for _, cause := range slices.Sorted(maps.Keys(s.causes)) {
		p := metricdata.DataPoint[int64]{Attributes: attribute.NewSet(causeKey.String(string(cause))), Time: s.now}
		if s.causes[cause] {
			p.Value = 1
		}
		data.DataPoints = append(data.DataPoints, p)
	}
	if data.DataPoints != nil {
		m.Data = data
	}
	return m
}

func (s *state) histogram(name, description string, timings ...timing) metricdata.Metrics {
	m := metricdata.Metrics{Name: name, Unit: "s", Description: description}
	data := metricdata.ExponentialHistogram[float64]{Temporality: metricdata.CumulativeTemporality}
	for _, t := range timings {
		if t.h.Count() > 0 {
			data.DataPoints = append(data.DataPoints, exponential(t.h, s.start, s.now, attribute.NewSet(t.of...)))
		}
	}
	if data.DataPoints != nil {
		m.Data = data
	}
	return m
}
