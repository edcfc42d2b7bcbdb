package markdown

import (
	"errors"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	var b strings.Builder
	table := Table{Head: []string{"name", "n"}, Rows: [][]string{{"×", "10"}, {"longer", "9"}}, Left: 1}
	if err := table.Write(&b); err != nil {
		t.Fatal(err)
	}
	const want = "" +
		"| name   |  n |\n" +
		"|--------|---:|\n" +
		"| ×      | 10 |\n" +
		"| longer |  9 |\n"
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

var errFull = errors.New("disk full")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errFull }

func TestTableReportsWriteErrors(t *testing.T) {
	if err := (Table{Head: []string{"n"}}).Write(broken{}); !errors.Is(err, errFull) {
		t.Errorf("got error %v, want one that wraps %v", err, errFull)
	}
}
