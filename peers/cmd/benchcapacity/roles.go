package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"example.com/brunt/fixtures"
)

// The variables tell a process of this program which role it has, and how to play it.
const (
	serviceVariable  = "BRUNT_CAPACITY_SERVICE"
	neighborVariable = "BRUNT_CAPACITY_NEIGHBOR"
)

// serviceRole is what the process of the service is told.
type serviceRole struct {
	Workers     int
	Mean        time.Duration
	Exponential bool
	Queue       int
	Seed        uint64
}

func (r serviceRole) config() fixtures.ServiceConfig {
	c := fixtures.ServiceConfig{Workers: r.Workers, ServiceTime: fixtures.Constant(r.Mean), Queue: r.Queue, Seed: r.Seed}
	if r.Exponential {
		c.ServiceTime = fixtures.Exponential(r.Mean)
	}
	return c
}

// neighborRole is what the process of the neighbor is told.
type neighborRole struct {
	Duty float64
	Busy time.Duration // on average
	Seed uint64
}

// playRole plays the role that the environment gives this process, and then does not
// return; without one it does nothing.
func playRole() {
	play := func(variable string, role any, act func() error) {
		text := os.Getenv(variable)
		if text == "" {
			return
		}
		err := json.Unmarshal([]byte(text), role)
		if err == nil {
			err = act()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "benchcapacity:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	var s serviceRole
	play(serviceVariable, &s, func() error { return s.serve(os.Stdin, os.Stdout) })
	var n neighborRole
	play(neighborVariable, &n, func() error { return n.burn(os.Stdin, os.Stdout) })
}

// serve tells its address on out and serves until in ends, which it does with the parent.
func (r serviceRole) serve(in io.Reader, out io.Writer) error {
	service, err := fixtures.NewService(r.config())
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: service}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }() // ends with Close
	fmt.Fprintf(out, "http://%s/\n", l.Addr())
	_, err = io.Copy(io.Discard, in)
	err = errors.Join(err, server.Close())
	if fault := <-served; !errors.Is(fault, http.ErrServerClosed) {
		err = errors.Join(err, fault)
	}
	return err
}

// burn keeps every CPU busy now and then until in ends. How long at a time, and how long
// not, is exponentially distributed.
func (r neighborRole) burn(in io.Reader, out io.Writer) error {
	fmt.Fprintln(out, "burning")
	over := make(chan struct{})
	var burners sync.WaitGroup
	burners.Go(func() { // ends with over
		random := rand.New(rand.NewPCG(r.Seed, 2))
		idle := time.Duration(float64(r.Busy) * (1 - r.Duty) / r.Duty)
		for {
			select {
			case <-over:
				return
			case <-time.After(time.Duration(random.ExpFloat64() * float64(idle))):
			}
			until := time.Now().Add(time.Duration(random.ExpFloat64() * float64(r.Busy)))
			var spin sync.WaitGroup
			for range runtime.NumCPU() {
				spin.Go(func() { // ends after a burst
					for time.Now().Before(until) {
						select {
						case <-over:
							return
						default:
						}
					}
				})
			}
			spin.Wait()
		}
	})
	_, err := io.Copy(io.Discard, in)
	close(over)
	burners.Wait()
	return err
}

// process is another one of this program. It ends with Close, with the context that it was
// started with, and with this one.
type process struct {
	says string // its first line
	cmd  *exec.Cmd
	in   io.Closer
}

func spawn(ctx context.Context, variable string, role any) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	text, err := json.Marshal(role)
	if err != nil {
		return nil, fmt.Errorf("write the role: %w", err)
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), variable+"="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("pipe to a process: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("pipe from a process: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a process: %w", err)
	}
	p := &process{cmd: cmd, in: in}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hear of a process: %w", err), p.Close())
	}
	p.says = strings.TrimSpace(line)
	return p, nil
}

// Close ends the process and returns when it has ended.
func (p *process) Close() error {
	p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("end a process: %w", err)
	}
	return nil
}
