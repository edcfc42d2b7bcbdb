// Package otelsink exports load tests as OpenTelemetry metrics while they run: to an OTLP
// collector, to Prometheus, to whatever the OpenTelemetry SDK has an exporter for. It is a
// module of its own, so that only those who import it depend on the SDK.
//
//	telemetry, err := otelsink.New(otelsink.Config{Run: "checkout"})
//	exporter, err := otlpmetrichttp.New(ctx) // configured by the environment, as usual
//	res, err := resource.New(ctx, resource.WithFromEnv(), resource.WithAttributes(telemetry.Attributes()...))
//	provider := metric.NewMeterProvider(metric.WithResource(res), metric.WithReader(
//		metric.NewPeriodicReader(exporter, metric.WithInterval(5*time.Second), metric.WithProducer(telemetry))))
//	defer provider.Shutdown(ctx) // exports the end of the run
//
//	engine := loadtest.Start(t, loadtest.AsyncConfig{OnProgress: telemetry.Follow()})
//
// Nothing is done per request. About once a second, when the engine reports, the exporter
// takes a copy of what has been counted, and makes metrics of it when a reader asks. The
// copies are in the PeakMemory of the result.
//
// # Metrics
//
// Latencies are exponential histograms, from which any percentile of any number of shards
// can be read: there are no gauges of percentiles, which could not be added. Counters and
// in_flight add up over shards too; heap, elapsed, planned and cause are gauges of one
// process. Temporality is cumulative.
//
//	loadtest.requests           {request}    requests sent, by loadtest.outcome: success, error, other
//	loadtest.errors             {error}      errors, by error.type: the class, such as timeout_headers
//	loadtest.responses          {response}   responses, by http.response.status_code
//	loadtest.unsent             {request}    due, not sent, by loadtest.reason: rejected, missed, dropped, canceled
//	loadtest.scheduled          {request}    arrivals of an open loop that came due
//	loadtest.retries            {attempt}    attempts beyond the first of each request
//	loadtest.received           By           bytes of response bodies
//	loadtest.connections        {connection} connections opened
//	loadtest.users              {user}       users by loadtest.scenario and loadtest.outcome: finished, failed, canceled
//	loadtest.in_flight          {request}    requests being attempted
//	loadtest.heap               By           largest heap of the process in the last interval
//	loadtest.elapsed            s            time since the run began
//	loadtest.planned            s            its planned length; 0 without one
//	loadtest.cause                           1 while the last interval shows loadtest.cause, else 0
//	loadtest.response.duration  s            since a request was due, by loadtest.outcome: success, error
//	loadtest.service.duration   s            since a request was sent
//	loadtest.lag.duration       s            between the two, in an open loop
//	loadtest.server.duration    s            as the server reported, with Request.ServerTime
//	loadtest.phase.duration     s            by loadtest.phase: pool, dns, connect, tls, headers, body, with ConnectionConfig.Phases
//	loadtest.endpoint.duration  s            as response.duration, by loadtest.endpoint, which is Request.Name
//	loadtest.scenario.duration  s            of the users that finished, by loadtest.scenario
//
// At the end of a run they are what its result says. The buckets of the histograms are
// those of scale 5, 32 in an octave: a percentile that is read as the upper bound of its
// bucket is never less than that of the result's [loadtest.Stats.Quantile], and at most
// 2.2 % more. Against the times as they were measured it is 2.3 %, as HDR histograms are
// good for 0.1 %.
//
// There is no http.client.request.duration: the semantic conventions require the method
// and the server of each request with it, which a run does not keep apart, and what is sent
// need not be HTTP. [Spans] have them.
//
// # Dashboard
//
// [Dashboard] is a dashboard for Grafana, with Prometheus behind it, for any number of runs
// and shards.
package otelsink

import _ "embed"

// Dashboard is the JSON of a dashboard for Grafana, to be imported there. Its source is
// Prometheus, with the names that Prometheus gives the metrics; it needs native histograms,
// which come with OTLP, and with scraping if that is asked for.
//
//go:embed grafana.json
var Dashboard []byte
