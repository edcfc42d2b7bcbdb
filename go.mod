module example.com/brunt

go 1.26.0

require (
	github.com/HdrHistogram/hdrhistogram-go v1.3.0
	github.com/aclements/go-moremath v0.0.0-20210112150236-f10218a38794
	github.com/jarcoal/httpmock v1.4.2
	github.com/stretchr/testify v1.12.1
	go.uber.org/goleak v1.3.0
	golang.org/x/perf v0.0.0-20260908200009-22c9c6c9d4da
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect

tool golang.org/x/perf/cmd/benchstat
