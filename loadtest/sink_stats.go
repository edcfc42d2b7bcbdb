package loadtest

import (
	"fmt"
	"strings"
	"time"

	"example.com/brunt/loadtest/internal/text"
)

// WarnSinkLimit says that the [Sink] of a run held it back, or lost records.
const WarnSinkLimit WarningKind = "sink_limit"

// SinkStats says what a [Sink] did. After Close, and whenever nothing waits,
// Put == Written + Dropped + Failed.
type SinkStats struct {
	Put        int64         `json:"put"`         // records handed over, those dropped included
	Written    int64         `json:"written"`     // records written; durable after Close
	Dropped    int64         `json:"dropped"`     // records not written: no room in the queue, or no time in Close
	Failed     int64         `json:"failed"`      // records that could not be written
	Batches    int64         `json:"batches"`     // calls of WriteBatch that have ended
	QueueDepth int           `json:"queue_depth"` // records waiting now
	PeakQueue  int           `json:"peak_queue"`  // most records that ever waited
	Blocked    time.Duration `json:"blocked_ns"`  // time spent in Put waiting for room, over all workers
}

// Stats returns what the sink has done so far; it is consistent in itself.
func (s *Sink) Stats() SinkStats {
	m := s.pipe.Metrics()
	st := SinkStats{
		Put: int64(m.Put), Written: int64(m.Processed), Dropped: int64(m.Dropped), Failed: int64(m.Failed),
		Batches: s.batches.Load(), QueueDepth: m.QueueDepth, PeakQueue: m.PeakQueue, Blocked: m.BlockedTime,
	}
	if st.Failed > 0 {
		part := s.partial.Load()
		st.Written += part
		st.Failed -= part
	}
	return st
}

// since is what was added after earlier; depths are of now.
func (st SinkStats) since(earlier SinkStats) SinkStats {
	st.Put -= earlier.Put
	st.Written -= earlier.Written
	st.Dropped -= earlier.Dropped
	st.Failed -= earlier.Failed
	st.Batches -= earlier.Batches
	st.Blocked -= earlier.Blocked
	return st
}

// mergeSinks adds up two results' sinks, either of which may be nil.
func mergeSinks(a, b *SinkStats) *SinkStats {
	if a == nil || b == nil {
		return copySink(a, b)
	}
	return &SinkStats{
		Put: a.Put + b.Put, Written: a.Written + b.Written, Dropped: a.Dropped + b.Dropped, Failed: a.Failed + b.Failed,
		Batches: a.Batches + b.Batches, QueueDepth: a.QueueDepth + b.QueueDepth, PeakQueue: max(a.PeakQueue, b.PeakQueue),
		Blocked: a.Blocked + b.Blocked,
	}
}

func copySink(a, b *SinkStats) *SinkStats {
	if a == nil {
		a = b
	}
	if a == nil {
		return nil
	}
	c := *a
	return &c
}

// String is one line for a person.
func (st *SinkStats) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s records written in %s batches", text.Count(st.Written), text.Count(st.Put), text.Count(st.Batches))
	if st.Dropped > 0 {
		fmt.Fprintf(&b, ", %s dropped", text.Count(st.Dropped))
	}
	if st.Failed > 0 {
		fmt.Fprintf(&b, ", %s failed", text.Count(st.Failed))
	}
	fmt.Fprintf(&b, "; at most %s waited", text.Count(int64(st.PeakQueue)))
	if st.Blocked > 0 {
		fmt.Fprintf(&b, "; workers blocked for %v", text.Duration(st.Blocked))
	}
	return b.String()
}

// blockedShare is the share of the workers' time from which a sink counts as the
// limit of a run.
const blockedShare = 0.01

// sinkWarnings says whether the sink was the limit of the run, and by how much.
func (r *EngineResult) sinkWarnings() (out []Warning) {
	st := r.Sink
	if st == nil {
		return nil
	}
	warn := func(format string, args ...any) {
		out = append(out, Warning{Kind: WarnSinkLimit, Text: fmt.Sprintf(format, args...)})
	}
	if st.Blocked > 0 {
		share := 1.0
		if total := r.Elapsed.Seconds() * float64(r.Concurrency); total > 0 {
			share = min(1, st.Blocked.Seconds()/total) // the last waits lie after Elapsed
		}
		if share >= blockedShare {
			warn("the sink was the limit: workers waited %v in total (%s of their time) for room in its queue",
				text.Duration(st.Blocked), text.Percent(share))
		}
	}
	if st.Dropped > 0 {
		warn("%s of %s records dropped: the queue was full", text.Count(st.Dropped), text.Count(st.Put))
	}
	return out
}
