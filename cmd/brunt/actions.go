package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"example.com/brunt/internal/benchgate"
	"example.com/brunt/internal/ghactions"
)

// tellActions tells GitHub Actions, if this is part of a step, what a command has found.
// Standard output may be a document; the runner looks for annotations in standard error, too.
func tellActions(stderr io.Writer, markdown string, annotations ...ghactions.Annotation) {
	if !ghactions.Enabled() {
		return
	}
	for _, a := range annotations {
		fmt.Fprintln(stderr, a)
	}
	if err := ghactions.Append(markdown); err != nil {
		fmt.Fprintf(stderr, "brunt: the report is not in the summary of the step: %v\n", err)
	}
}

// source returns where the head declares a benchmark, if that can be told.
func (c *comparison) source(pkg, bench string) (file string, line int) {
	top, _, _ := strings.Cut(bench, "/")
	top, _, _ = strings.Cut(top, "-") // GOMAXPROCS
	decl := []byte("\nfunc Benchmark" + top + "(")
	for _, p := range c.Packages {
		dir := p.Binaries[benchgate.Head].Dir
		if dir == "" || p.Path != pkg && len(c.Packages) > 1 { // that of two binaries is not known by its path
			continue
		}
		files, _ := filepath.Glob(filepath.Join(dir, "*_test.go"))
		for _, file := range files {
			text, _ := os.ReadFile(file) // one that cannot be read declares nothing
			if at := bytes.Index(text, decl); at >= 0 && top != "" {
				return file, 2 + bytes.Count(text[:at], []byte("\n"))
			}
		}
	}
	return "", 0
}
