package resilience

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// windowOracle is the documented rule of window and nothing else: a list of
// events, counted one by one.
type windowOracle struct {
	width  uint64
	latest uint64 // time never goes backward: an overtaken clock reading is this one
	events []windowOracleEvent
}

type windowOracleEvent struct {
	at           uint64
	failed, slow bool
}

func (o *windowOracle) record(now uint64, failed, slow bool) {
	o.latest = max(o.latest, now)
	o.events = append(o.events, windowOracleEvent{o.latest, failed, slow})
}

func (o *windowOracle) sum(now uint64) (c windowCounts) {
	now = max(now, o.latest)
	for _, e := range o.events {
		if now/o.width-e.at/o.width >= 10 {
			continue
		}
		switch {
		case !e.failed:
			c.successes++
		default:
			c.failures++
			if e.slow {
				c.slow++
			}
		}
	}
	return c
}

func TestWindowForgetsAtTheDocumentedInstant(t *testing.T) {
	for _, c := range []struct {
		name        string
		event, read uint64
		want        uint64
	}{
		{"the same instant", 0, 0, 1},
		{"nine tenths at least: last instant", 0, 999, 1},
		{"never all of it", 0, 1000, 0},
		{"end of a bucket counts for nine tenths and no more", 99, 999, 1},
		{"end of a bucket, one step on", 99, 1000, 0},
		{"start of the next bucket", 100, 1000, 1},
		{"far from the origin", 1 << 62, 1<<62 + 900, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var w window
			w.open(100, 0)
			w.failure(c.event, true)
			w.success(c.event)
			require.Equal(t, windowCounts{successes: c.want, failures: c.want, slow: c.want}, w.sum(c.read))
		})
	}
}

// runWindow feeds operations decoded from data to a window and its oracle.
func runWindow(t *testing.T, data []byte) {
	t.Helper()
	if len(data) < 2 {
		return
	}
	width := uint64(data[0])*uint64(data[1])*uint64(data[1]) + 1
	var w window
	w.open(width, 0)
	o := windowOracle{width: width}
	var now uint64
	const horizon = 1 << 63 // a time.Duration ends here
	for data = data[2:]; len(data) >= 2; data = data[2:] {
		step, arg := data[0]>>5, uint64(data[1])
		at := now
		switch step {
		case 0: // not at all
		case 1:
			at += arg
		case 2:
			at += arg * width / 16
		case 3: // idle for 2^k buckets
			at += width << (arg % 62)
		case 4: // idle for 2^k windows, give or take a bucket
			at += width*10<<(arg%58) + (arg%3)*width - width
		case 5: // to the last or first instant of a bucket
			at = (at/width+arg%12)*width + width - arg/12%2
		case 6: // an old clock reading: it must not make the window forget
			at -= min(at, arg*width/8)
		case 7: // an exact multiple of the ring
			at += arg * windowSlots * width
		}
		if at >= horizon {
			return
		}
		if step != 6 {
			now = at
		}
		for range data[0] & 3 {
			if data[0]&4 != 0 {
				require.True(t, w.failure(at, data[0]&8 != 0))
				o.record(at, true, data[0]&8 != 0)
			} else {
				counted, _ := w.success(at)
				require.True(t, counted)
				o.record(at, false, false)
			}
		}
		want := o.sum(now)
		require.Equal(t, want, w.sum(now), "width %d at %d", width, now)
		if data[0]&3 != 0 && data[0]&4 == 0 && want.failures > 0 {
			_, withFailures := w.success(at)
			o.record(at, false, false)
			require.True(t, withFailures, "a success beside failures would not be evaluated")
		}
	}
}

// windowSeeds are operation strings that idle for 2^k buckets and windows: the
// gaps that bring truncated epochs back to life.
func windowSeeds() [][]byte {
	seeds := [][]byte{{}, {1, 1}, {255, 255, 0x07, 0, 0xe0, 1, 0, 0}}
	for k := range byte(60) {
		seeds = append(seeds,
			[]byte{0, 0, 0x0f, 0, 0x60, k, 0x01, 0, 0x60, k, 0x00, 0},
			[]byte{9, 3, 0x0f, 0, 0x80, k, 0x05, 0, 0x80, k, 0x01, 0, 0xa0, 9, 0xc1, 200})
	}
	return seeds
}

func FuzzWindow(f *testing.F) {
	for _, s := range windowSeeds() {
		f.Add(s)
	}
	f.Fuzz(runWindow)
}

func TestWindowAgainstOracle(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 400 {
		data := make([]byte, 2+2*r.IntN(150))
		for i := range len(data) / 8 {
			binary.NativeEndian.PutUint64(data[8*i:], r.Uint64())
		}
		runWindow(t, data)
	}
}

func TestWindowSealedTakesNothing(t *testing.T) {
	var w window
	w.open(10, 0)
	w.success(1)
	w.success(2)
	w.failure(3, false)
	s, f := w.seal()
	require.EqualValues(t, 2, s)
	require.EqualValues(t, 1, f)
	counted, _ := w.success(4)
	require.False(t, counted)
	require.False(t, w.failure(4, false))
}

// Writers with clocks that differ, readers beside them: no event of the last
// nine tenths may be missing once all are done, none counted twice, and a sum
// never exceeds what was recorded.
func TestWindowConcurrently(t *testing.T) {
	const writers, events, width = 8, 2000, 100
	var w window
	w.open(width, 0)
	var writing, reading sync.WaitGroup
	stop := make(chan struct{})
	reading.Go(func() {
		for now := uint64(0); ; now = (now + 37) % (3 * width) {
			select {
			case <-stop:
				return
			default:
			}
			if c := w.sum(now); c.successes+c.failures > writers*events {
				t.Errorf("sum %+v at %d of %d events", c, now, writers*events)
				return
			}
		}
	})
	for i := range uint64(writers) {
		writing.Go(func() {
			for e := range uint64(events) {
				at := e * 9 * width / events // all of it within nine buckets
				if e%4 == i%4 {
					w.failure(at, false)
				} else {
					w.success(at)
				}
			}
		})
	}
	writing.Wait()
	close(stop)
	reading.Wait()
	require.Equal(t, windowCounts{successes: writers * events * 3 / 4, failures: writers * events / 4}, w.sum(9*width))
	require.Equal(t, windowCounts{}, w.sum(19*width))
}

// A writer that was held up between reading the clock and recording, while the
// ring went round: it must not bring its old bucket back, nor lose what others
// have recorded since.
func TestWindowLateWriterDoesNotOverwriteNewerSlot(t *testing.T) {
	var w window
	w.open(100, 0)
	w.success(0)
	w.failure(windowSlots*100, false) // the same slot, one round later
	w.success(5)                      // its clock says bucket 0
	require.Equal(t, windowCounts{successes: 1, failures: 1}, w.sum(windowSlots*100))
	require.Equal(t, windowCounts{successes: 1, failures: 1}, w.sum(windowSlots*100+999))
	require.Equal(t, windowCounts{}, w.sum(windowSlots*100+1000))
}
