package resilience

import (
	"context"
	"testing"
)

// A plain channel with a goroutine that reads it is the cheapest thing a
// producer could put into; it has no batches, no Stop and no counts.
func BenchmarkPipelinePut(b *testing.B) {
	type record [4]int64
	ctx := context.Background()
	produce := func(b *testing.B, parallel bool, put func()) {
		b.Helper()
		b.ReportAllocs()
		if !parallel {
			for b.Loop() {
				put()
			}
			return
		}
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				put()
			}
		})
	}
	for _, mode := range []struct {
		name     string
		parallel bool
	}{{"serial", false}, {"parallel", true}} {
		b.Run("into=pipeline/producers="+mode.name, func(b *testing.B) {
			p, err := NewPipeline(PipelineConfig[record]{MaxQueueSize: 10_000, OnBatch: func(context.Context, []record) error { return nil }})
			if err != nil {
				b.Fatal(err)
			}
			if err := p.Start(); err != nil {
				b.Fatal(err)
			}
			produce(b, mode.parallel, func() { _ = p.Put(ctx, record{}) })
			if _, err := p.Stop(ctx, true); err != nil {
				b.Fatal(err)
			}
		})
		for _, channel := range []string{"channel", "select"} {
			b.Run("into="+channel+"/producers="+mode.name, func(b *testing.B) {
				c, done := make(chan record, 10_000), make(chan struct{})
				go func() { // ends when c is closed
					for range c { // consumes
					}
					close(done)
				}()
				if channel == "channel" {
					produce(b, mode.parallel, func() { c <- record{} })
				} else {
					quit := b.Context().Done()
					produce(b, mode.parallel, func() {
						select {
						case c <- record{}:
						case <-quit:
						}
					})
				}
				close(c)
				<-done
			})
		}
	}
}
