package replay

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"strings"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/pace"
)

// ErrConfig matches every fault of a Config.
var ErrConfig = errors.New("replay: bad config")

// ErrChanged is returned by a run for a log that holds less than when it was opened.
var ErrChanged = errors.New("replay: the log has changed since it was opened")

const (
	defaultReorder = 1000
	maxFaults      = 10
	maxDuration    = math.MaxInt64 - 2*time.Second // a schedule ends before 292 years
)

// Config says how an access log is read. Base is required.
type Config struct {
	// Base is the URL of the service under test, such as http://127.0.0.1:8080. A path in
	// it goes before that of each line.
	Base string
	// Fields names the fields of JSON lines.
	Fields Fields
	// TimeLayout is how JSON lines write the time, in the words of [time.Parse]. Empty
	// means RFC 3339, that of the common log format, a few more like them, or a number:
	// Unix seconds, milliseconds, microseconds or nanoseconds, by its size.
	TimeLayout string
	// Together keeps lines of one second together where the log has no fractions of
	// seconds. Otherwise they are spread evenly over the second: it is not likely that they
	// came all at once.
	Together bool
	// Reorder is how many lines a line may be away from its place in order of time, as logs
	// are written when requests end and some servers write when they began. One that is
	// further away is due with the latest line before it, and counted in Stats.Late. 0 means
	// 1000; -1 none.
	Reorder int
	// MaxBad is how many lines may be bad: those are counted and not sent. 0 means that one
	// is an error; -1 any number. Logs of servers that face the internet have some: what
	// is no HTTP at all is logged, too.
	MaxBad int64
	// OnBad, if not nil, is called with each bad line that is read by [Open], [New] or
	// [Stream], in order.
	OnBad func(*loadtest.LineError)
	// Host sends the host that a line names, if it names one, in the Host header.
	Host bool
	// Keep, if not nil, reports whether a line is sent; those that are not are counted in
	// Stats.LeftOut. It is called for each line in each walk through the log, also by
	// several goroutines at once and where arrivals are handed out: it must depend on its
	// argument alone, must not change it, and should return soon. A log has no bodies: to
	// leave out what needs one, keep the methods that do not.
	Keep func(*Entry) bool
	// Edit, if not nil, is called with each request, for example to name it or to give it a
	// token, also with one that is then passed over. It may change the request but not the
	// entry. Its calls do not overlap in a run.
	Edit func(*Entry, *loadtest.Request)
}

// Validate reports every fault; each matches ErrConfig.
func (c Config) Validate() error {
	var faults []error
	refuse := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...))
	}
	if c.Base == "" {
		refuse("Base is empty: set it to the URL of the service under test, such as http://127.0.0.1:8080")
	} else if err := loadtest.Get(c.Base).Validate(); err != nil {
		refuse("Base: %w", err)
	} else if strings.ContainsAny(c.Base, "?#") {
		refuse("Base has a query or a fragment: must end with a host or a path")
	}
	if c.Reorder < -1 {
		refuse("Reorder is %d: must be -1 for none, 0 for %d, or positive", c.Reorder, defaultReorder)
	}
	if c.MaxBad < -1 {
		refuse("MaxBad is %d: must be -1 for any number, or not negative", c.MaxBad)
	}
	return errors.Join(faults...)
}

// window returns how many entries wait for those before them.
func (c *Config) window() int {
	switch c.Reorder {
	case 0:
		return defaultReorder
	case -1:
		return 0
	}
	return c.Reorder
}

func (c *Config) request(e *Entry) *loadtest.Request {
	r := e.request(strings.TrimSuffix(c.Base, "/"), c.Host)
	if c.Edit != nil {
		c.Edit(e, r)
	}
	return r
}

// Stats is what a log holds.
type Stats struct {
	Requests int64         // that are sent
	Bad      int64         // lines that are not read
	LeftOut  int64         // lines that Keep has not kept
	Late     int64         // requests that are due later than they were, see Config.Reorder
	First    time.Time     // when the first request was
	Duration time.Duration // from the first request to the last
	// Faults are the first bad lines, at most 10.
	Faults []*loadtest.LineError
}

// Log is an access log whose requests can be sent at their own instants. It is safe for
// concurrent use by multiple goroutines, and each run reads it anew.
type Log struct {
	r      io.ReaderAt
	size   int64
	config Config
	stats  Stats
	file   *os.File
}

// Open opens the log in a file; see [New].
func Open(path string, c Config) (*Log, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	l, err := New(f, c)
	if err != nil {
		f.Close()
		return nil, err
	}
	l.file = f
	return l, nil
}

// New reads a log once, to count its requests and to find its bad lines, so that none of
// them surprises a run; what is written to it later does not belong to it. If there are
// more bad lines than [Config.MaxBad] allows, or no request at all, the error holds a
// [loadtest.LineError] for each of the first ten. What is compressed with gzip is
// uncompressed.
//
// Each line is one in the common or combined log format, as nginx and Apache write them,
// or a JSON object, as [Fields] says.
func New(r io.ReaderAt, c Config) (*Log, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	l := &Log{r: r, config: c, size: math.MaxInt64}
	counter := &countingReader{r: io.NewSectionReader(r, 0, math.MaxInt64)}
	w := newWalk(counter, &l.config)
	w.maxBad = math.MaxInt64
	w.onBad = func(bad *loadtest.LineError) {
		if len(l.stats.Faults) < maxFaults {
			l.stats.Faults = append(l.stats.Faults, bad)
		}
		if c.OnBad != nil {
			c.OnBad(bad)
		}
	}
	all := &instants{walk: w, together: c.Together}
	for at, ok := all.next(); ok; at, ok = all.next() {
		l.stats.Requests++
		l.stats.Duration = at
	}
	if all.err != nil {
		return nil, all.err
	}
	l.size = counter.n
	l.stats.Bad, l.stats.LeftOut, l.stats.Late, l.stats.First = w.bad, w.leftOut, w.late, all.start
	var fault error
	switch {
	case c.MaxBad >= 0 && w.bad > c.MaxBad:
		fault = fmt.Errorf("replay: %d bad lines: set Config.MaxBad to leave them out; the first are", w.bad)
	case l.stats.Requests == 0:
		fault = fmt.Errorf("%w: the log holds no request, but %d bad lines", loadtest.ErrEmptySource, w.bad)
	case l.stats.Duration > maxDuration:
		fault = fmt.Errorf("replay: the log spans more than 292 years from %v: leave out what has a wrong time with Config.Keep", all.start)
	default:
		return l, nil
	}
	faults := []error{fault}
	for _, bad := range l.stats.Faults {
		faults = append(faults, bad)
	}
	return nil, errors.Join(faults...)
}

// Close closes the file of a log that [Open] has opened. No run may use it then.
func (l *Log) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// Stats returns what the log holds.
func (l *Log) Stats() Stats { return l.stats }

func (l *Log) walk() *walk {
	w := newWalk(io.NewSectionReader(l.r, 0, l.size), &l.config)
	w.maxBad, w.onBad = math.MaxInt64, nil // they have been reported
	w.left = l.stats.Requests
	return w
}

// Schedule returns when the requests were, since the first. With the source of the same log
// each request is sent at its own instant; see [loadtest.Recorded]. It can be scaled,
// cut and sharded like any other; Then and Merge number the arrivals anew, so that
// they only fit the source where it comes first.
//
// Each run reads the log by it once more, a second ahead.
func (l *Log) Schedule() pace.Schedule {
	return pace.RecordedFunc(l.stats.Requests, l.stats.Duration, func() func() (time.Duration, bool) {
		return (&instants{walk: l.walk(), together: l.config.Together}).next
	})
}

// Source returns the requests, in order of time.
func (l *Log) Source() loadtest.Source {
	return loadtest.Take(l.stats.Requests, loadtest.Recorded(func(yield func(*loadtest.Request, error) bool) {
		l.config.yield(l.walk(), yield)
	}))
}

// yield yields the requests of a walk, and the error that ends it.
func (c *Config) yield(w *walk, yield func(*loadtest.Request, error) bool) {
	for {
		e, err := w.next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				yield(nil, err)
			}
			return
		}
		if !yield(c.request(e), nil) {
			return
		}
	}
}

// Stream returns the requests of a log that can be read only once, such as a pipe, for
// [loadtest.Recorded]. It has no schedule, as that is read beside them. The first error
// ends it: a [loadtest.LineError] if there are more bad lines than [Config.MaxBad] allows.
func Stream(r io.Reader, c Config) iter.Seq2[*loadtest.Request, error] {
	return func(yield func(*loadtest.Request, error) bool) {
		if err := c.Validate(); err != nil {
			yield(nil, err)
			return
		}
		c.yield(newWalk(r, &c), yield)
	}
}

// countingReader counts what is read.
type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
