package benchrun

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOneBenchmarkIsNotSeveral(t *testing.T) {
	require.Equal(t, "0 benchmarks", benchmarks(0))
	require.Equal(t, "1 benchmark", benchmarks(1))
	require.Equal(t, "2 benchmarks", benchmarks(2))
}
