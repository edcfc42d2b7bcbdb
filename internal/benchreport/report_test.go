package benchreport

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/benchgate"
)

// What moved without a direction and what was left out stand where one looks first,
// in every form.
func TestMovedAndLeftOut(t *testing.T) {
	results := func(rows int, odd string) string {
		var b strings.Builder
		for i := range 10 {
			fmt.Fprintf(&b, "BenchmarkA-2 \t 1 \t 1000 ns/op\t %d rows\n", rows+i)
		}
		return b.String() + "BenchmarkOdd-2 \t" + odd + " 1 \t 1000 ns/op\n"
	}
	set := new(benchgate.Set)
	require.NoError(t, set.Read(benchgate.Base, "base.txt", []byte(results(5000, ""))))
	require.NoError(t, set.Read(benchgate.Head, "head.txt", []byte(results(4000, "done "))))
	rep, err := benchgate.Judge(set, new(benchgate.Rules))
	require.NoError(t, err)
	require.Equal(t, 2, rep.ExitCode())
	in := &Input{Set: set, Report: rep}
	require.Equal(t, "0 worse, 1 moved and may be worse, 1 unchanged, 1 could not be judged", in.Headline())

	text, md := Text(in), Markdown(in)
	doc, err := JSON(in)
	require.NoError(t, err)
	require.Contains(t, text, "\n"+in.Headline()+"\n  moved   A-2 rows: ")
	require.Contains(t, text, `print "Unit name better=higher" or "better=lower"`)
	require.Contains(t, text, "unreadable at head: Odd-2: head.txt:11: ")
	require.Contains(t, md, "### ⚠️ Benchmarks: "+in.Headline())
	require.Contains(t, md, "**Moved, and may be worse**\n\n| benchmark |")
	require.Contains(t, md, "**Could not be judged**\n\n- unreadable at head: Odd-2: head.txt:11: ")
	annotations := Annotations(in, func(_, bench string) (string, int) { return bench + ".go", 7 })
	require.Len(t, annotations, 2)
	require.Equal(t, "A-2.go", annotations[0].File)
	require.Equal(t, "A-2: moved", annotations[0].Title)
	require.Regexp(t, `^rows: .*\nmoved: no one says which way`, annotations[0].Message)
	require.Equal(t, "Odd-2.go", annotations[1].File)
	require.Contains(t, annotations[1].Message, "unreadable at head: Odd-2: head.txt:11: ")
	var parsed struct {
		ExitCode int `json:"exit_code"`
		Headline string
		Rows     []struct{ Bench, Unit, Verdict string }
		Faults   []struct{ Kind, Side, Bench, Text string }
	}
	require.NoError(t, json.Unmarshal(doc, &parsed))
	require.Equal(t, 2, parsed.ExitCode)
	require.Equal(t, in.Headline(), parsed.Headline)
	require.Equal(t, "moved", parsed.Rows[1].Verdict)
	require.Equal(t, "Odd-2", parsed.Faults[0].Bench)
	require.Equal(t, "unreadable", parsed.Faults[0].Kind)
}
