package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"example.com/brunt/internal/ghactions"
	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/htmlreport"
	"example.com/brunt/loadtest/shards"
)

const mergeHelp = `usage: brunt merge [flags] DIR

Merges the results that the shards of a load test have written into DIR, exactly:
counts and percentiles are those that one process would have measured. It judges
the SLO of the test once, over the whole, and prints the one report.

A run of which a shard is missing, there twice, late, cut short, of another binary or
schedule, or was itself the limit of the load, is not merged, and the fault named:
the exit code of a scheduler does not tell.

examples
  brunt merge results
  brunt merge -format html -o report.html results
  brunt merge -run nightly-7 -format bench results >>nightly.txt   for benchstat

exit codes
  0  the whole run is there, and its SLO is met
  1  the whole run is there, and misses its SLO
  2  the run is not whole, or its load was not what its schedule says

within GitHub Actions
  What came of each test is appended to the summary of the step. What is not a pass is
  annotated, on standard error.

flags
`

// merge returns the exit code.
func merge(args []string, stdout, stderr io.Writer) (code int, err error) {
	defer func() {
		if err != nil && !errors.Is(err, flag.ErrHelp) {
			tellActions(stderr, "### ⚠️ Load test: could not be judged\n\n"+ghactions.Fence(err.Error()), ghactions.Annotation{Title: "brunt merge", Message: err.Error()})
		}
	}()
	fs := flag.NewFlagSet("brunt merge", flag.ContinueOnError)
	name := fs.String("run", "", "merge the `run` of that BRUNT_RUN; needed if there are several in DIR")
	test := fs.String("test", "", "merge the test or benchmark of that `name` only")
	format := fs.String("format", "text", "print text, json, html or bench, for benchstat; `kind`")
	out := fs.String("o", "-", "write the report to `file`; - for standard output")
	switch err = parseFlags(fs, args, stdout, mergeHelp); {
	case err != nil:
		return 2, err
	case fs.NArg() != 1:
		return 2, fmt.Errorf("merge needs one directory, and got %q: brunt merge [flags] DIR", fs.Args())
	case writers[*format] == nil:
		return 2, fmt.Errorf("-format is %q: must be text, json, html or bench", *format)
	}
	files, err := shards.Read(fs.Arg(0), *name)
	if err != nil {
		return 2, err
	}
	if *test != "" {
		files = slices.DeleteFunc(files, func(f *shards.File) bool { return f.Name != *test })
	}
	merged, err := shards.Merge(files)
	if err != nil {
		return 2, err
	}
	var report bytes.Buffer
	if err := writers[*format](&report, merged); err != nil {
		return 2, err
	}
	if *out == "-" {
		_, err = stdout.Write(report.Bytes())
	} else {
		err = os.WriteFile(*out, report.Bytes(), 0o666)
	}
	if err != nil {
		return 2, err
	}
	for _, m := range merged {
		mark, exit := outcome(m.Verdict.Kind)
		code = max(code, exit)
		var annotations []ghactions.Annotation
		if exit != 0 {
			if *format != "text" || *out != "-" {
				fmt.Fprintf(stderr, "%s: %v\n", m.Name, m.Verdict)
			}
			annotations = append(annotations, ghactions.Annotation{Title: m.Name, Message: m.Verdict.String()})
		}
		tellActions(stderr, fmt.Sprintf("### %s %s: %s\n\n%s", mark, ghactions.Escape(m.Name, 400), m.Verdict.Kind, ghactions.Fence(text(m))), annotations...)
	}
	return code, nil
}

// outcome returns the sign of a verdict in a summary, and its exit code.
func outcome(kind loadtest.VerdictKind) (mark string, code int) {
	switch kind {
	case loadtest.VerdictPass:
		return "✅", 0
	case loadtest.VerdictInvalid:
		return "⚠️", 2
	}
	return "🔴", 1
}

// text is the report in text.
func text(m *shards.Merged) string {
	return fmt.Sprintf("%s, run %s, %d shards\n%v\n\nverdict: %v\n", m.Name, m.Run, m.Shards, m.Result, m.Verdict)
}

// writers write a report.
var writers = map[string]func(io.Writer, []*shards.Merged) error{
	"text": func(w io.Writer, merged []*shards.Merged) error {
		for _, m := range merged {
			fmt.Fprint(w, text(m))
		}
		return nil
	},
	"json": func(w io.Writer, merged []*shards.Merged) error {
		type test struct {
			Name    string                 `json:"name"`
			Run     string                 `json:"run"`
			Shards  int                    `json:"shards"`
			Verdict loadtest.Verdict       `json:"verdict"`
			Result  *loadtest.EngineResult `json:"result"`
		}
		tests := []test{}
		for _, m := range merged {
			tests = append(tests, test{m.Name, m.Run, m.Shards, m.Verdict, m.Result})
		}
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(tests)
	},
	"html": func(w io.Writer, merged []*shards.Merged) error {
		o := htmlreport.Options{SLO: &merged[0].SLO, Environment: []htmlreport.Fact{{Name: "run", Value: merged[0].Run}}}
		var results []*loadtest.EngineResult
		for _, m := range merged {
			if !reflect.DeepEqual(m.SLO, *o.SLO) {
				return fmt.Errorf("%s and %s have different SLOs, and a page has one: choose one of them with -test", merged[0].Name, m.Name)
			}
			o.Names = append(o.Names, m.Name)
			o.Environment = append(o.Environment, htmlreport.Fact{Name: "shards of " + m.Name, Value: fmt.Sprint(m.Shards)})
			results = append(results, m.Result)
		}
		return htmlreport.Write(w, o, results...)
	},
	"bench": func(w io.Writer, merged []*shards.Merged) error {
		for _, m := range merged {
			name := "Benchmark" + strings.TrimPrefix(strings.TrimPrefix(m.Name, "Benchmark"), "Test")
			if err := loadtest.WriteBenchmark(w, name, m.Result); err != nil {
				return err
			}
		}
		return nil
	},
}
