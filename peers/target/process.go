package target

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"example.com/brunt/peers/internal/proc"
)

// kindVariable tells a process that it is to be the server, and of which kind.
const kindVariable = "BRUNT_PEERS_SERVER"

// logVariable is set to the file for the log, if there is to be one.
const logVariable = "BRUNT_PEERS_LOG"

// ServeIfChild turns this process into the server if [Spawn] started it for
// that, and then does not return. A program that calls Spawn calls it first.
func ServeIfChild() {
	kind := os.Getenv(kindVariable)
	if kind == "" {
		return
	}
	if err := serveChild(Kind(kind), os.Getenv(logVariable), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serveChild tells its address, and what it serves over, on out and serves until in
// ends. The parent holds the other end of in, so the server cannot outlive it,
// however it dies.
func serveChild(kind Kind, file string, in io.Reader, out io.Writer) error {
	var log *hitLog
	if file != "" {
		log = newHitLog()
	}
	s, err := start(kind, log)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, s.URL, s.Over); err != nil {
		return errors.Join(fmt.Errorf("target: tell the address: %w", err), s.Close())
	}
	_, err = io.Copy(io.Discard, in)
	err = errors.Join(err, s.Close())
	if log != nil {
		err = errors.Join(err, log.write(file))
	}
	return err
}

// Process is a server in a process of its own.
type Process struct {
	URL, Over string // as of a [Server]

	cmd *exec.Cmd
	in  io.Closer
}

// Spawn starts this program again as a server, bound to the given CPUs, if any. It
// ends with Close, with ctx, and with this process.
func Spawn(ctx context.Context, kind Kind, cpus ...int) (*Process, error) {
	return SpawnLogged(ctx, kind, "", cpus...)
}

// SpawnLogged is Spawn, and the server writes into file, when it ends, when it answered
// each hit; [ReadLog] reads it.
func SpawnLogged(ctx context.Context, kind Kind, file string, cpus ...int) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("target: find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), kindVariable+"="+string(kind), logVariable+"="+file)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("target: pipe to the server: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("target: pipe from the server: %w", err)
	}
	if err := proc.StartOn(cmd, cpus...); err != nil {
		return nil, fmt.Errorf("target: start the server: %w", err)
	}
	p := &Process{cmd: cmd, in: in}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("target: address of the server: %w", err), p.Close())
	}
	p.URL, p.Over, _ = strings.Cut(strings.TrimSpace(line), " ")
	return p, nil
}

// Freeze stops the server for d, as if its machine had: connections are still made,
// and what they send waits. It tells how long it really was.
func (p *Process) Freeze(d time.Duration) (time.Duration, error) {
	return proc.Freeze(p.cmd.Process, d)
}

// Close ends the server and returns when its process has ended.
func (p *Process) Close() error {
	p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("target: end the server: %w", err)
	}
	return nil
}
