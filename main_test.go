package brunt_test

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() != "" {
		// Before any benchmark has begun a line cannot break a result.
		os.Stdout.WriteString("Unit %limit better=higher\n")
	}
	goleak.VerifyTestMain(m)
}
