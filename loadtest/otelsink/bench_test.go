package otelsink

import (
	"context"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
)

// BenchmarkReport is what a second of a run costs beside its requests: the copy that is
// taken when the engine reports, and the metrics that are made of it when a reader asks.
func BenchmarkReport(b *testing.B) {
	for _, names := range []int{0, 10, 60} {
		b.Run("names="+strconv.Itoa(names), func(b *testing.B) {
			x, err := New(Config{})
			require.NoError(b, err)
			follow := x.Follow()
			reqs := []*loadtest.Request{{}}
			for i := range names {
				reqs = append(reqs, &loadtest.Request{Name: strconv.Itoa(i)})
			}
			e := loadtest.Start(b, loadtest.ThreadedConfig{
				Client: loadtest.Func(func(context.Context) error {
					time.Sleep(time.Duration(rand.IntN(100)) * time.Microsecond)
					if rand.IntN(10) == 0 {
						return errTest
					}
					return nil
				}),
				OnProgress: func(p loadtest.Progress) {
					if !p.Done {
						return
					}
					b.Run("copy", func(b *testing.B) {
						b.ReportAllocs()
						for b.Loop() {
							p.Result()
						}
					})
					follow(p)
				},
			})
			_, err = e.Run(b.Context(), loadtest.Times(50_000, reqs...))
			require.NoError(b, err)
			b.Run("export", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := x.Produce(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
