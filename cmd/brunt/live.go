package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"

	"example.com/brunt/loadtest/live"
)

const liveHelp = `usage: brunt live [flags] DIR

Serves a page about the run whose shards write their progress into DIR, which need not be
there yet, and says on standard output where it is. It is for this machine only, and follows
the run until it is interrupted.

flags
  -addr ADDR   where to serve it: a loopback address, with a port or 0 for one that is free
               (default 127.0.0.1:0)
`

// showLive is the verb live.
func showLive(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("brunt live", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	addr := flags.String("addr", "127.0.0.1:0", "")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, liveHelp)
		return 0
	}
	if err == nil && flags.NArg() != 1 {
		err = fmt.Errorf("%d directories: must be one", flags.NArg())
	}
	if err != nil {
		fmt.Fprintf(stderr, "brunt live: %v\n\n%s", err, liveHelp)
		return 2
	}
	ln, err := live.Listen(*addr)
	if err != nil {
		fmt.Fprintf(stderr, "brunt live: %v\n", err)
		return 2
	}
	srv := &http.Server{Handler: live.Watch(flags.Arg(0)), ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { srv.Close() })()
	fmt.Fprintf(stdout, "http://%s/\n", ln.Addr())
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintf(stderr, "brunt live: %v\n", err)
		return 2
	}
	return 0
}
