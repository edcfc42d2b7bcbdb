package benchgate

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What package testing does with these patterns is asked of itself where benchmarks run.
func TestSelects(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{`A\|B`, "A|B", true},
		{`A\|B`, "A", false},
		{"A[x|y]$", "Ax", true},
		{"A[/]", "A/", false},
		{"A[x]/B", "Ax/B", true},
		{"A]/B", "A]/B", true},
		{"(A|B)/C", "A/C", true},
		{"(A|B)/C", "A/D", false},
		{"A|B", "B", true},
		{"A/B/C", "A/B", false},
		{"A b", "A_b", true},
		{"(", "(", false},
	} {
		require.Equal(t, c.want, Selects(c.pattern, c.name), "%s %s", c.pattern, c.name)
	}
}
