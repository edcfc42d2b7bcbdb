package placeholder

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Names are numbered in the order in which they come, each is written as its place needs it,
// and every fault is reported.
func TestText(t *testing.T) {
	names := []string{"b"}
	p, err := Parse("/${a}/$${x}?q=${b|raw}&${a}", &names, ForURL)
	require.NoError(t, err)
	require.Equal(t, []string{"b", "a"}, names)
	require.Equal(t, "/u%2Fv%20%E2%82%AC/${x}?q=1/%322%25&u%2Fv%20%E2%82%AC", string(p.Append(nil, []string{"1/%322%", "u/v €"})))
	require.Equal(t, "/0/${x}?q=1&2", p.Join(func(i int) string { return string(rune('0' + i)) }))

	p, err = Parse(`{"s":"${s}"}`, &names, ForJSON)
	require.NoError(t, err)
	require.JSONEq(t, `{"s":"a\"\\\u000A€"}`, string(p.Append(nil, []string{"", "", "a\"\\\n€"})))

	_, err = Parse("${}${c|up}${d", &names, AsItIs)
	for _, fault := range []string{"${} has no name", `${c|up}: "up" is unknown`, "${ without a }"} {
		require.ErrorContains(t, err, fault)
	}
}
