package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/brunt/resilience"
)

func ExamplePipeline() {
	pipeline, err := resilience.NewPipeline(resilience.PipelineConfig[int]{
		BatchSize: 3,
		OnBatch: func(_ context.Context, batch []int) error {
			fmt.Println("write", batch)
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if err := pipeline.Start(); err != nil {
		fmt.Println(err)
		return
	}
	for i := range 7 {
		if err := pipeline.Put(ctx, i); err != nil {
			fmt.Println(err)
		}
	}
	m, err := pipeline.Stop(ctx, true)
	fmt.Println(m.Put, m.Processed, m.Dropped, err)
	fmt.Println(pipeline.Put(ctx, 8))
	// Output:
	// write [0 1 2]
	// write [3 4 5]
	// write [6]
	// 7 7 0 <nil>
	// resilience: stopped
}

func ExamplePipeline_Flush() {
	pipeline, _ := resilience.NewPipeline(resilience.PipelineConfig[string]{
		BatchTimeout: time.Hour,
		OnBatch: func(_ context.Context, batch []string) error {
			fmt.Println(batch)
			return nil
		},
	})
	_ = pipeline.Start()
	ctx := context.Background()
	_ = pipeline.Put(ctx, "one")
	_ = pipeline.Put(ctx, "two")
	fmt.Println(pipeline.Flush(ctx))
	_, _ = pipeline.Stop(ctx, true)
	// Output:
	// [one two]
	// <nil>
}

// A batch that fails is reported and counted, and the next one is tried.
func ExamplePipelineConfig_onError() {
	pipeline, _ := resilience.NewPipeline(resilience.PipelineConfig[int]{
		BatchSize: 2,
		OnBatch: func(_ context.Context, batch []int) error {
			switch batch[0] {
			case 0:
				return errors.New("disk full")
			case 2:
				panic("index out of range")
			}
			return nil
		},
		OnError: func(err error, batch []int) { fmt.Println(batch, err) },
	})
	_ = pipeline.Start()
	for i := range 6 {
		_ = pipeline.Put(context.Background(), i)
	}
	m, _ := pipeline.Stop(context.Background(), true)
	fmt.Println(m.Processed, m.Failed)
	// Output:
	// [0 1] disk full
	// [2 3] resilience: panic in OnBatch: index out of range
	// 2 4
}
