package shards

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"example.com/brunt/internal/scheduler"
	"example.com/brunt/loadtest"
)

const (
	// firstLead is how long before its start an order is given at first. It is doubled when
	// a shard was late for one, up to maxLead.
	firstLead = 250 * time.Millisecond
	maxLead   = 30 * time.Second
	// pollPause is between two looks for a file.
	pollPause = 5 * time.Millisecond
	// orderPatience is how long a shard waits for the next order, and resultPatience how
	// long shard 0 waits for the results of the others when its own part is done.
	orderPatience  = 5 * time.Minute
	resultPatience = time.Minute
)

// Exchange lets shard 0 decide what all shards run, one run after the other, as a search for
// a capacity needs. They tell each other by files in BRUNT_RESULTS, which must be one
// directory for all of them, such as a shared file system. It is used by one goroutine.
type Exchange struct {
	config Config
	name   string
	dir    string
	lead   time.Duration
	n      int // the order in hand, from 1
}

// Exchange returns the exchange of this process for a test or benchmark of that name. It
// waits for the start, and is nil if this process is alone.
func (c Config) Exchange(ctx context.Context, name string) (*Exchange, error) {
	if err := c.Shard.Validate(); err != nil || c.Shard.Count == 1 {
		return nil, err
	}
	if late := time.Since(c.Start); late > 0 && !c.Start.IsZero() {
		return nil, fmt.Errorf("shards: INVALID: shard %v was ready %v after the start: leave more time before %s, and make one search in a process", c.Shard, late.Round(time.Millisecond), scheduler.Start)
	}
	leader := File{Run: c.Name, Name: name, Shards: c.Shard.Count} // shard 0
	x := &Exchange{config: c, name: name, dir: filepath.Join(c.Dir, leader.base()+".orders"), lead: firstLead}
	if err := os.MkdirAll(x.dir, 0o777); err != nil {
		return nil, fmt.Errorf("shards: %w", err)
	}
	if c.Shard.Index == 0 {
		if left, err := os.ReadDir(x.dir); err != nil || len(left) > 0 {
			return nil, errors.Join(err, fmt.Errorf("shards: %s holds orders of another run: give each a %s of its own", x.dir, scheduler.Run))
		}
	}
	return x, wait(ctx, c.Start)
}

// Shard returns which shard this is.
func (x *Exchange) Shard() loadtest.Shard { return x.config.Shard }

// order is the file by which shard 0 gives an order.
type order struct {
	Start time.Time       `json:"start"`
	Order json.RawMessage `json:"order,omitempty"` // nil: there are no more
	// What shard 0 has ended with, and the error, if there are no more.
	Outcome json.RawMessage `json:"outcome,omitempty"`
	Error   string          `json:"error,omitempty"`
}

func (x *Exchange) orderPath() string { return filepath.Join(x.dir, fmt.Sprintf("order-%d.json", x.n)) }

func (x *Exchange) write(path string, v any) error {
	_, err := writeJSON(x.dir, v, func(tmp string) (string, error) { return path, os.Rename(tmp, path) })
	return err
}

// Lead gives all shards an order, has this one, which must be shard 0, carry it out by run
// when they begin, and returns the merged result of all. An order for which a shard was late
// is given again. The error matches [ErrNotWhole] if a shard has not carried it out.
func (x *Exchange) Lead(ctx context.Context, what any, run func(context.Context) (*loadtest.EngineResult, error)) (*loadtest.EngineResult, error) {
	text, err := json.Marshal(what)
	if err != nil {
		return nil, fmt.Errorf("shards: %w", err)
	}
	for {
		x.n++
		start := time.Now().Add(x.lead).Round(0)
		if err := x.write(x.orderPath(), order{Start: start, Order: text}); err != nil {
			return nil, err
		}
		own := x.config.file(x.name, start)
		x.config.carryOut(ctx, own, run)
		if own.Error != "" && own.Late() == 0 {
			return nil, fmt.Errorf("shards: shard %v: %s", x.config.Shard, own.Error)
		}
		files, err := x.gather(ctx, own)
		if err != nil {
			return nil, err
		}
		late := time.Duration(0)
		for _, f := range files {
			late = max(late, f.Late())
		}
		if late > 0 && x.lead < maxLead {
			x.lead = min(max(2*x.lead, 2*(x.lead+late)), maxLead)
			continue
		}
		if faults := faultsOf(files, false); len(faults) > 0 {
			return nil, errors.Join(faults...)
		}
		for _, f := range files[1:] {
			files[0].Result.Merge(f.Result)
		}
		return files[0].Result, nil
	}
}

// End tells the other shards that there are no more orders, and with what outcome or error
// shard 0 has ended.
func (x *Exchange) End(outcome any, err error) error {
	x.n++
	text, marshaling := json.Marshal(outcome)
	if marshaling != nil {
		return fmt.Errorf("shards: %w", marshaling)
	}
	o := order{Outcome: text}
	if err != nil {
		o.Error = err.Error()
	}
	return x.write(x.orderPath(), o)
}

// Follow waits for the next order of shard 0, reads it into what, carries it out by run, and
// reports the result. It returns false when there are no more orders, with the error with
// which shard 0 has ended, if there was one; its outcome is in *outcome then.
func (x *Exchange) Follow(ctx context.Context, what, outcome any, run func(context.Context) (*loadtest.EngineResult, error)) (bool, error) {
	x.n++
	var o order
	if err := x.read(ctx, x.orderPath(), &o, orderPatience); err != nil {
		return false, fmt.Errorf("shards: shard %v has no order from shard 0: %w", x.config.Shard, err)
	}
	if o.Order == nil {
		err := json.Unmarshal(o.Outcome, outcome)
		if o.Error != "" {
			err = errors.Join(fmt.Errorf("shards: shard 0: %s", o.Error), err)
		}
		return false, err
	}
	if err := json.Unmarshal(o.Order, what); err != nil {
		return false, fmt.Errorf("shards: %w", err)
	}
	f := x.config.file(x.name, o.Start)
	x.config.carryOut(ctx, f, run)
	if err := x.write(x.resultPath(x.config.Shard.Index), f); err != nil {
		return false, err
	}
	return true, context.Cause(ctx)
}

func (x *Exchange) resultPath(shard int) string {
	return filepath.Join(x.dir, fmt.Sprintf("result-%d.%d.json", x.n, shard))
}

// gather returns the results of all shards, of which own is this one's.
func (x *Exchange) gather(ctx context.Context, own *File) ([]*File, error) {
	files := []*File{own}
	var faults []error
	deadline := time.Now().Add(resultPatience)
	for i := 1; i < x.config.Shard.Count; i++ {
		f := &File{path: x.resultPath(i)}
		switch err := x.read(ctx, f.path, f, time.Until(deadline)); {
		case errors.Is(err, context.DeadlineExceeded):
			faults = append(faults, &ShardError{x.config.Name, x.name, i, fmt.Sprintf("has not reported within %v after shard 0", resultPatience)})
		case err != nil:
			return nil, fmt.Errorf("shards: %w", err)
		default:
			files = append(files, f)
		}
	}
	return files, errors.Join(faults...)
}

// read reads the JSON of a file into v when it is there.
func (x *Exchange) read(ctx context.Context, path string, v any, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		text, err := os.ReadFile(path)
		if err == nil {
			return json.Unmarshal(text, v)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pollPause):
		}
	}
}
