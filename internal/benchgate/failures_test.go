package benchgate

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A package's failures count unless it ends in PASS, and a package ends where the labels
// of another begin.
func TestWhereAPackageEnds(t *testing.T) {
	const fail, a, b, pass = "--- FAIL: BenchmarkX\n", "BenchmarkA 1 1 ns/op\n", "BenchmarkB 1 1 ns/op\n", "PASS\n"
	const found = "failed at base: p.X"
	for text, want := range map[string]string{
		fail + a:                                               found,
		fail + a + pass:                                        "",
		a + fail + "FAIL\npkg: q\n" + b + pass:                 found, // after text
		a + fail + a + "pkg: q\n\n" + b + pass:                 found, // after a result
		a + fail + "FAIL\ngoos: linux\npkg: q\n" + b + pass:    found,
		a + fail + "goos: linux\ngoarch: amd64\n" + pass:       found,
		a + fail + "goos: linux\n" + fail + "cpu: X\n" + pass:  found + "|" + found,
		a + fail + pass + "pkg: q\n" + b + fail:                "failed at base: q.X",
		"cpu: X\n" + fail + pass:                               "",
		a + "    x.go:1: --- FAIL: BenchmarkX\n" + b:           "",
		a + fail + "    why\n        else\nx\n    other\n" + b: found + ": why\n        else",
		a + fail + strings.Repeat("    y\n", 21) + b:           found + ": " + strings.TrimSpace(strings.Repeat("    y\n", 20)),
	} {
		require.Equal(t, want, strings.Join(faultsOf(t, "pkg: p\n"+text), "|"), "%q", text)
	}
}
