// Command waive reads findings from standard input, one a line, and fails if the
// list it is given does not have each of them with a reason:
//
//	some-check | go run ./internal/waive list.txt
//
// In a list a line that begins at its left edge is a finding, word for word as the
// check prints it, and the indented lines that follow say why it stands; several
// findings in a row share the reason below them. An entry stands for one finding: a
// finding that comes twice needs two. Lines that begin with # are comments. An entry
// that was not found is no failure, for a check may have looked at a part of the tree.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// errUnlisted says that there was a finding without an entry.
var errUnlisted = errors.New("waive: findings that the list does not have")

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: waive list.txt < findings")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(path string, findings io.Reader, out io.Writer) error {
	entries, err := readList(path)
	if err != nil {
		return err
	}
	unlisted, stale, err := compare(findings, entries)
	if err != nil {
		return err
	}
	if len(stale) > 0 {
		fmt.Fprintf(out, "%d of %d entries in %s were not found, the first: %s\n", len(stale), len(entries), path, stale[0])
	}
	for _, finding := range unlisted {
		fmt.Fprintln(out, finding)
	}
	if len(unlisted) > 0 {
		return fmt.Errorf("%w: %d; mend them, or add each to %s with its reason indented below it", errUnlisted, len(unlisted), path)
	}
	return nil
}

// readList returns the findings that the list at path has. A list that is not there
// is empty.
func readList(path string) ([]string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := parseList(f)
	if err != nil {
		return nil, fmt.Errorf("waive: %s: %w", path, err)
	}
	return entries, nil
}

func parseList(r io.Reader) (entries []string, err error) {
	reasoned := 0 // so many entries have their reason
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimRight(lines.Text(), " \t\r")
		switch {
		case line == "":
			if reasoned < len(entries) {
				return nil, fmt.Errorf("no reason for %q", entries[reasoned])
			}
		case line[0] == '#':
		case line[0] != ' ' && line[0] != '\t':
			entries = append(entries, line)
		case len(entries) == 0:
			return nil, fmt.Errorf("line %d: a reason without a finding: %q", n, line)
		default:
			reasoned = len(entries)
		}
	}
	if reasoned < len(entries) {
		return nil, fmt.Errorf("no reason for %q", entries[reasoned])
	}
	return entries, lines.Err()
}

// compare returns the findings without an entry and the entries without a finding,
// each in the order in which it came.
func compare(findings io.Reader, entries []string) (unlisted, stale []string, err error) {
	left := make(map[string]int)
	for _, entry := range entries {
		left[entry]++
	}
	lines := bufio.NewScanner(findings)
	for lines.Scan() {
		finding := strings.TrimRight(lines.Text(), " \t\r")
		switch {
		case finding == "":
		case left[finding] > 0:
			left[finding]--
		default:
			unlisted = append(unlisted, finding)
		}
	}
	for _, entry := range entries {
		if left[entry] > 0 {
			left[entry]--
			stale = append(stale, entry)
		}
	}
	return unlisted, stale, lines.Err()
}
