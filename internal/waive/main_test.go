package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const list = `# what the check has against us

a.go: x
	because of y
# a comment is no reason
c.go: «z»
a.go: x
  because of y, a second time

b.go: «z»
	two lines
	of reason
`

func TestFindingsAreComparedWithTheList(t *testing.T) {
	for _, test := range []struct {
		name, findings  string
		unlisted, stale []string
	}{
		{"all of them", "b.go: «z»\na.go: x\r\na.go: x\nc.go: «z»\n", nil, nil},
		{"none", "", nil, []string{"a.go: x", "c.go: «z»", "a.go: x", "b.go: «z»"}},
		{"empty lines are no findings", "\n \na.go: x\na.go: x\nc.go: «z»\nb.go: «z»", nil, nil},
		{"one more than entries", "a.go: x\na.go: x\na.go: x\nb.go: «z»\nc.go: «z»\n", []string{"a.go: x"}, nil},
		{"a part of an entry is another finding", "a.go:\na.go: x\na.go: x y\n", []string{"a.go:", "a.go: x y"}, []string{"a.go: x", "c.go: «z»", "b.go: «z»"}},
		{"a reason is no entry", "because of y\n", []string{"because of y"}, []string{"a.go: x", "c.go: «z»", "a.go: x", "b.go: «z»"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			entries, err := parseList(strings.NewReader(list))
			require.NoError(t, err)
			unlisted, stale, err := compare(strings.NewReader(test.findings), entries)
			require.NoError(t, err)
			require.Equal(t, test.unlisted, unlisted)
			require.Equal(t, test.stale, stale)
		})
	}
}

func TestAListWithoutReasonsIsRefused(t *testing.T) {
	for name, test := range map[string]struct{ list, want string }{
		"at the end":    {"a\n\twhy\nb\n# why\n\n", `no reason for "b"`},
		"in the middle": {"a\n\nb\n\twhy\n", `no reason for "a"`},
		"of a second":   {"a\n\twhy\nb\nc\n\nd\n\twhy\n", `no reason for "b"`},
		"blank reason":  {"a\n\t \n", `no reason for "a"`},
		"no finding":    {"# list\n\twhy\n", `line 2: a reason without a finding: "\twhy"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseList(strings.NewReader(test.list))
			require.EqualError(t, err, test.want)
		})
	}
}

func TestRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.txt")
	t.Run("no list is an empty one", func(t *testing.T) {
		var out strings.Builder
		require.NoError(t, run(path, strings.NewReader(""), &out))
		require.Empty(t, out.String())
		require.ErrorIs(t, run(path, strings.NewReader("a\n"), &out), errUnlisted)
		require.Equal(t, "a\n", out.String())
	})
	require.NoError(t, os.WriteFile(path, []byte(list), 0o600))
	t.Run("what was not found is told of", func(t *testing.T) {
		var out strings.Builder
		require.NoError(t, run(path, strings.NewReader("a.go: x\na.go: x\n"), &out))
		require.Equal(t, "2 of 4 entries in "+path+" were not found, the first: c.go: «z»\n", out.String())
	})
	t.Run("findings that cannot be read are no success", func(t *testing.T) {
		broken := errors.New("broken pipe")
		require.ErrorIs(t, run(path, failingReader{broken}, new(strings.Builder)), broken)
	})
	t.Run("a list that cannot be read is no empty one", func(t *testing.T) {
		require.Error(t, run(t.TempDir(), strings.NewReader(""), new(strings.Builder)))
	})
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }
