package peers

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrNotInstalled is matched by the error about a tool that is not there.
var ErrNotInstalled = errors.New("not installed")

// Tool is a load generator that is a program of its own.
type Tool struct {
	// Program is its name on the PATH.
	Program string
	// Module and Version are what go install builds it from; empty if it is not
	// to be had that way.
	Module, Version string
	// Own is set for a program of this module: the path of the library that runs in
	// it. It is told what to do, and answers, like a contestant in this program, and
	// needs nothing of what follows.
	Own string
	// Step is the unit of durations that it takes; others are rounded up.
	Step time.Duration
	// Args makes it do the work, and Stdin is what it reads.
	Args  func(Work) []string
	Stdin string
	// Parse reads what it prints on its standard output.
	Parse func(stdout []byte) (Outcome, error)
}

// duration is w.Duration as the tool can take it.
func (t *Tool) duration(d time.Duration) time.Duration {
	if t.Step == 0 {
		return d
	}
	return max(t.Step, (d + t.Step - 1).Truncate(t.Step))
}

// find looks for the program in dir, where Install puts those it builds, and then
// on the PATH. The error matches [ErrNotInstalled].
func (t *Tool) find(dir string) (string, error) {
	if dir != "" {
		if path, err := exec.LookPath(filepath.Join(dir, t.Program)); err == nil {
			return filepath.Abs(path)
		}
	}
	path, err := exec.LookPath(t.Program)
	if err != nil {
		return "", fmt.Errorf("%w: no %s on the PATH", ErrNotInstalled, t.Program)
	}
	return path, nil
}

// Install makes sure that the tools among contestants are there, as far as they can
// be: it builds those that are written in Go into dir with go install, at their fixed
// versions, unless dir has that version already. Those of this module are built
// anew, for which the working directory must be inside of it. An empty dir installs
// nothing. It returns why a program could not be built, by its name.
func Install(ctx context.Context, contestants []Contestant, dir string) (map[string]error, error) {
	failed := make(map[string]error)
	if dir == "" {
		return failed, nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("peers: directory for tools: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("peers: directory for tools: %w", err)
	}
	done := make(map[string]bool)
	for _, c := range contestants {
		t := c.Tool
		if t == nil || t.Module == "" || done[t.Program] {
			continue
		}
		done[t.Program] = true
		what := t.Module
		if t.Own == "" {
			what += "@" + t.Version
			if path, err := exec.LookPath(filepath.Join(dir, t.Program)); err == nil && version(path) == t.Version {
				continue
			}
		}
		cmd := exec.CommandContext(ctx, "go", "install", what)
		cmd.Env = append(os.Environ(), "GOBIN="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			failed[t.Program] = fmt.Errorf("%s: %w: go install %s: %w: %s", t.Program, ErrNotInstalled, what, err, lastLine(out))
		}
	}
	return failed, context.Cause(ctx)
}

// version is that of a Go program's module, or empty.
func version(path string) string {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return ""
	}
	return info.Main.Version
}

// Versions names the tools among contestants that are installed, each once.
func Versions(ctx context.Context, contestants []Contestant, dir string) []string {
	var out []string
	for _, c := range contestants {
		if c.Tool == nil {
			continue
		}
		path, err := c.Tool.find(dir)
		if err != nil {
			continue
		}
		if text := c.Tool.describe(ctx, path); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

// describe names a program, or the library in it, and its version for the report.
func (t *Tool) describe(ctx context.Context, path string) string {
	if t.Own != "" {
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return t.Own
		}
		for _, m := range info.Deps {
			if m.Path == t.Own {
				return m.Path + " " + m.Version
			}
		}
		return t.Own
	}
	if v := version(path); v != "" {
		return t.Program + " " + v
	}
	// C tools tell it in their first line, and some fail then.
	out, _ := exec.CommandContext(ctx, path, "--version").CombinedOutput()
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	first, _, _ = strings.Cut(first, " Copyright")
	return first
}

func lastLine(out []byte) string {
	text := strings.TrimSpace(string(out))
	return text[strings.LastIndexByte(text, '\n')+1:]
}
