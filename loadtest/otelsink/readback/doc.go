// Package readback holds tests of package otelsink with what reads its metrics: the OTLP
// receiver, the storage and the query engine of Prometheus, and the official exporters. It
// is a module of its own, so that a user of otelsink does not depend on Prometheus.
package readback
