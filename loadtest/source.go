package loadtest

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync/atomic"
	"time"

	"example.com/brunt/loadtest/internal/httpreq"
)

// ErrEmptySource is returned by Run for a source that has nothing to send.
var ErrEmptySource = errors.New("loadtest: nothing to send")

// Source says what a run sends and when there is no more. Make one with [URLs],
// [Times], [For], [Cycle], [Mix], [Pick], [Seq] or [Recorded], and limit it with [Take] or
// [Until]; the zero Source is empty. A Source may be used by many runs, except that one
// made with Seq or Recorded is only as repeatable as its iterator.
type Source struct {
	// open numbers the names of requests, and validates each before it is sent.
	open func(names *endpoints, validate func(*Request) error) (feed, error)
}

// feed is one run's hold on a source. claim is safe for concurrent use; close
// is called once, after the last claim.
type feed interface {
	// claim fills dst with the next requests, at most len(dst), and returns how
	// many; 0 means that there are no more. share is the number of workers that
	// claim from this feed.
	claim(dst []item, share int) int
	// at fills the one item of dst with request number i, or with the next where the
	// source has no numbers, and returns 1; 0 means that there is none, nor any after it.
	// A feed is used either by at or by claim.
	at(i int64, dst []item) int
	// want says that at will be called with i, which is higher than all before: what is
	// not wanted by then never is. It must not block.
	want(i int64)
	// size is how many requests the feed holds, or -1 when that is not known.
	size() int64
	// part says which numbers the feed has.
	part() part
	// planned is the time since the run began from which on no request is to begin,
	// or 0.
	planned() time.Duration
	// unclaim returns claimed requests that were not sent, for others to claim.
	unclaim(rest []item)
	// fault is why the feed ended early, if it did.
	fault() error
	close()
}

// item is a request as a worker gets it.
type item struct {
	req      *Request
	number   int64 // from 0
	endpoint int32
}

func (s Source) start(names *endpoints, validate func(*Request) error) (feed, error) {
	if s.open == nil {
		return nil, ErrEmptySource
	}
	return s.open(names, validate)
}

// URLs sends a GET request to each of urls, once, in order.
func URLs(urls ...string) Source {
	return Source{open: func(names *endpoints, validate func(*Request) error) (feed, error) {
		reqs := make([]*Request, len(urls))
		for i, u := range urls {
			reqs[i] = Get(u)
		}
		return newCycle(reqs, int64(len(reqs)), names, validate)
	}}
}

// Times sends n requests, cycling through reqs. Without reqs it sends empty
// ones, which only a [Func] client takes.
func Times(n int, reqs ...*Request) Source {
	return Source{open: func(names *endpoints, validate func(*Request) error) (feed, error) {
		if n < 0 {
			return nil, fmt.Errorf("loadtest: Times(%d): negative count", n)
		}
		return newCycle(reqs, int64(n), names, validate)
	}}
}

// For sends requests, cycling through reqs, until d has passed since the run
// began; requests in flight then are finished. Without reqs it sends empty
// ones, which only a [Func] client takes.
func For(d time.Duration, reqs ...*Request) Source {
	return Source{open: func(names *endpoints, validate func(*Request) error) (feed, error) {
		if d <= 0 {
			return nil, fmt.Errorf("loadtest: For(%v): the duration must be above 0", d)
		}
		f, err := newCycle(reqs, -1, names, validate)
		return untilFeed{f, d}, err
	}}
}

// Cycle sends requests without an end, cycling through reqs: limit it with [Take] or
// [Until], or use it with an [ArrivalEngine], which its schedule limits. Without reqs it
// sends empty ones, which only a [Func] client takes.
func Cycle(reqs ...*Request) Source {
	return Source{open: func(names *endpoints, validate func(*Request) error) (feed, error) {
		return newCycle(reqs, -1, names, validate)
	}}
}

// Pick sends request number i, from 0 on, as fn(i) returns it, without an end: limit
// it with [Take] or [Until]. fn is called once for each number, by many goroutines at
// once and in no order, so that it should depend on i alone; then each run sends the
// same. Requests that are the same *Request each time are looked through only once.
// A nil or invalid request ends the run with an error.
func Pick(fn func(i int64) *Request) Source {
	if fn == nil {
		return Source{}
	}
	return Source{open: func(names *endpoints, validate func(*Request) error) (feed, error) {
		return &indexFeed{total: -1, picker: &pickFunc{fn: fn, known: knownRequests{names: names, validate: validate}}}, nil
	}}
}

// Weighted is a part of a [Mix].
type Weighted struct {
	// Weight is the part's share, in proportion to the other weights. It must be
	// above 0 and finite.
	Weight float64
	// Request is what is sent, or Scenario what users walk through: one of the two.
	Request  *Request
	Scenario Scenario
	// Name is that of the Scenario; empty means the name of the function.
	Name string
}

// request returns what is sent.
func (p Weighted) request() (*Request, error) {
	switch {
	case p.Scenario == nil && p.Name != "":
		return p.Request, fmt.Errorf("has the name %q and no Scenario: a request has its own", p.Name)
	case p.Scenario == nil:
		return p.Request, nil
	case p.Request != nil:
		return p.Request, errors.New("has both a Request and a Scenario: make two parts of it")
	}
	return Walk(cmp.Or(p.Name, scenarioName(p.Scenario)), p.Scenario), nil
}

// Mix sends the requests of parts, or lets users walk through their scenarios, in
// proportion to their weights, without an end:
// limit it with [Take] or [Until]. Which request number i is depends on i and the
// weights alone, so that each run sends the same, and after any number of requests
// each part has had its share to within a few requests.
func Mix(parts ...Weighted) Source {
	return Source{open: func(names *endpoints, validate func(*Request) error) (feed, error) {
		m, err := newMix(parts, names, validate)
		return &indexFeed{total: -1, picker: m}, err
	}}
}

// Take ends src after n requests, unless it has ended by itself.
func Take(n int64, src Source) Source {
	if src.open == nil {
		return Source{}
	}
	return Source{open: func(names *endpoints, validate func(*Request) error) (feed, error) {
		switch {
		case n < 0:
			return nil, fmt.Errorf("loadtest: Take(%d): negative count", n)
		case n == 0:
			return nil, ErrEmptySource
		}
		f, err := src.open(names, validate)
		if err != nil {
			return nil, err
		}
		return takeFrom(f, n), nil
	}}
}

// takeFrom limits f to n requests.
func takeFrom(f feed, n int64) feed {
	switch f := f.(type) {
	case *indexFeed:
		f.total = f.of.limit(f.total, n)
		return f
	case *recordedFeed:
		f.total = f.of.limit(f.total, n)
		return f
	case untilFeed:
		return untilFeed{takeFrom(f.feed, n), f.limit}
	}
	t := &takeFeed{feed: f}
	t.left.Store(n)
	return t
}

// takeFeed is a feed that hands out one request a claim, with a limit in number.
type takeFeed struct {
	feed
	left atomic.Int64
}

func (f *takeFeed) claim(dst []item, share int) int {
	if f.left.Add(-1) < 0 {
		f.left.Add(1)
		return 0
	}
	n := f.feed.claim(dst[:1], share)
	if n == 0 {
		f.left.Add(1)
	}
	return n
}

func (f *takeFeed) at(_ int64, dst []item) int { return f.claim(dst, 1) }

// Until ends src once d has passed since the run began, unless it has ended by
// itself: no request begins after that, and those in flight are finished, not
// canceled. The run ends without an error, and nothing counts as unsent. A [Seq]
// that blocks is waited for, and what it yields too late is not sent.
func Until(d time.Duration, src Source) Source {
	if src.open == nil {
		return Source{}
	}
	return Source{open: func(names *endpoints, validate func(*Request) error) (feed, error) {
		if d <= 0 {
			return nil, fmt.Errorf("loadtest: Until(%v): the duration must be above 0", d)
		}
		f, err := src.open(names, validate)
		return untilFeed{f, d}, err
	}}
}

// untilFeed is a feed with a limit in time, which the workers keep: a feed has no
// clock. How much is sent before it is not known.
type untilFeed struct {
	feed
	limit time.Duration
}

func (f untilFeed) size() int64 { return -1 }

func (f untilFeed) planned() time.Duration {
	if inner := f.feed.planned(); inner > 0 {
		return min(inner, f.limit)
	}
	return f.limit
}

// Seq sends what seq yields. The workers take turns: seq is never run by two of
// them at once, and it is asked for a request only when a worker is free to send
// it. Of several that are free the one goes next that was busy last, so that no more
// connections are open than are needed at once. Run waits for a seq that blocks, so
// it should end by itself or when the context does that its author gave it. A nil or
// invalid request ends the run with an error.
func Seq(seq iter.Seq[*Request]) Source {
	if seq == nil {
		return Source{}
	}
	return Source{open: func(names *endpoints, validate func(*Request) error) (feed, error) {
		f := &seqFeed{known: knownRequests{names: names, validate: validate}}
		f.next, f.stop = iter.Pull(seq)
		return f, nil
	}}
}

// maxURLLine bounds one line of a URL list; longer than any URL that servers take.
const maxURLLine = 64 << 10

// ReadURLs reads one absolute http or https URL a line. Blank lines and lines
// that begin with # are passed over, white space around a URL is dropped, and a
// byte order mark and CRLF line ends are understood. It returns no URLs when
// any line is bad, and then an error that holds a [LineError] for every one.
// A list without a URL is an error too.
func ReadURLs(r io.Reader) ([]string, error) {
	var (
		urls   []string
		faults []error
		lines  = bufio.NewScanner(r)
		n      int
	)
	lines.Buffer(make([]byte, 0, 4096), maxURLLine)
	for lines.Scan() {
		n++
		text := lines.Text()
		if n == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		text = strings.TrimSpace(text)
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		if _, err := httpreq.ParseURL(text); err != nil {
			faults = append(faults, &LineError{Line: n, Text: httpreq.QuoteURL(text), Err: err})
			continue
		}
		urls = append(urls, text)
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("longer than %d bytes", maxURLLine)
		}
		faults = append(faults, &LineError{Line: n + 1, Err: err})
	}
	switch {
	case len(faults) > 0:
		return nil, errors.Join(faults...)
	case len(urls) == 0:
		return nil, fmt.Errorf("%w: the list holds no URL", ErrEmptySource)
	}
	return urls, nil
}
