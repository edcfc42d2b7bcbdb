package brunt_test

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	os.Unsetenv("GITHUB_STEP_SUMMARY") // failures that tests plant are not for the summary of this run
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() != "" {
		// Before any benchmark has begun a line cannot break a result.
		os.Stdout.WriteString("Unit %limit better=higher\n")
	}
	goleak.VerifyTestMain(m)
}
