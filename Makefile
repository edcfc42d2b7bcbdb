# make help lists the targets. Everything works on a machine with Go and make;
# the linters are built from tools/go.mod when first asked for.

GO      ?= go
BUILD   ?= out
TOOL     = $(GO) tool -modfile=$(CURDIR)/tools/go.mod

# benchmark: how often, how many requests, what the server adds to each.
COUNT   ?= 6
N       ?= 5000
LATENCY ?= 1ms
# TARGET=http://127.0.0.1:8080/ drives your own server instead of brunt's.
TARGET  ?=
# benchmark-open: how many requests per second.
RATE        ?= 1000
# benchmark-capacity: the objective.
P99         ?= 50ms
# benchmark-full: how long, how hard, and where the records go.
DURATION    ?= 60s
CONCURRENCY ?= 200
WORKERS     ?= 32
OUT         ?= $(BUILD)/results.jsonl
# test-report: a Chromium; the first one on PATH, or BROWSER=path.
BROWSER ?= $(firstword $(foreach b,chromium google-chrome google-chrome-stable chromium-browser,$(shell command -v $(b))))
# truth: how often each experiment.
RUNS ?= 20
# test-next: the version of Go after the one in go.mod; the go command fetches it.
NEXT ?= go1.27.1
# fuzz: how long each target.
FUZZTIME ?= 30s

# The race detector needs a C compiler on some systems; without one the tests
# run all the same, and say so.
RACE = $(shell [ "$$($(GO) env CGO_ENABLED)" = 1 ] && command -v $$($(GO) env CC) >/dev/null && echo -race)
# Tests also wait, for sockets and for processes: with one package more at a time than there
# are processors, all of them took a fifth less time on two.
PACKAGES = -p $$(($$(getconf _NPROCESSORS_ONLN) + 1))

.DEFAULT_GOAL := help
.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-22s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  make benchmark LATENCY=10ms COUNT=3                 a slower server, fewer rounds'
	@echo '  make benchmark TARGET=http://127.0.0.1:8080/        your own server'
	@echo '  make benchmark-open RATE=1000 DURATION=10s          so many requests a second, however slow the server'
	@echo '  make benchmark-capacity P99=50ms                    how many requests a second before p99 exceeds that'
	@echo '  make benchmark-full DURATION=10s CONCURRENCY=200 WORKERS=32 OUT=results.jsonl'

$(BUILD):
	@mkdir -p $@

# A process with the race detector sleeps for a second when it exits, unless it is told not to.
.PHONY: test
test: ## run every test: race-checked, shuffled, leak-checked
	$(if $(RACE),,@echo 'no C compiler: testing without the race detector')
	GORACE="$$GORACE atexit_sleep_ms=0" $(GO) test $(RACE) -shuffle=on $(PACKAGES) ./...
	$(if $(RACE),$(MAKE) test-wire)

# The race detector does not see what io_uring writes, so under it Wire does without; and
# what is tried with many seeds is tried with fewer.
.PHONY: test-wire
test-wire: ## the tests of connections without the race detector, and so with io_uring, and those that it only makes slow (part of test)
	$(GO) test -shuffle=on $(PACKAGES) ./loadtest/internal/ring ./loadtest/internal/wake ./loadtest/internal/http1 ./loadtest/internal/transport ./loadtest/internal/hist
	$(GO) test -shuffle=on $(PACKAGES) -run 'Ring|Wire|Session|Dial|Small|Nothing|Memory|Templates|Planted|GivenUp|Harvests|Unsteady|MaxRate|Simulation|MeanIs|Share|AtRates|LatencyShapes|ParallelTests' ./loadtest ./fixtures ./resilience

# Without the race detector, which test has looked with: what is asked here is whether
# another standard library and runtime change what the tests see.
.PHONY: test-next
test-next: ## run every test with the version of Go after this one (NEXT=go1.27.1)
	GOTOOLCHAIN=$(NEXT) $(GO) test -shuffle=on ./...

.PHONY: test-report
test-report: | $(BUILD) ## draw the HTML report, and a run that goes on, in a headless Chromium and check them (BROWSER=path)
	@test -n '$(BROWSER)' || { echo 'no chromium, google-chrome or chromium-browser found: install one, or set BROWSER=path' >&2; exit 1; }
	BRUNT_BROWSER='$(BROWSER)' $(GO) test -count=1 -artifacts -outputdir='$(abspath $(BUILD))' -run Browser ./loadtest/htmlreport ./loadtest/live

.PHONY: test-junit
test-junit: ## what gotestsum makes of a Check that fails: is all of it in the JUnit file?
	BRUNT_GOTESTSUM="$$($(TOOL) -n gotestsum)" $(GO) test -count=1 -run '^TestJUnit$$' .

# Each fails if it cannot start what it is named for.
.PHONY: test-mpi
test-mpi: ## a load of four shards by mpirun, and one of which a shard is killed (Open MPI)
	BRUNT_MPI=1 $(GO) test -count=1 -v -run '^TestMPI' ./cmd/brunt

.PHONY: test-slurm
test-slurm: ## the same by Slurm on four virtual nodes: tasks, arrays, a node that is lost, one that is not there in time (1 minute)
	BRUNT_SLURM=1 $(GO) test -count=1 -v -run '^TestSlurm' ./cmd/brunt

.PHONY: test-netns
test-netns: ## four shards and a server, each in a network namespace of its own (root, on Linux)
	BRUNT_NETNS=1 $(GO) test -count=1 -v -run '^TestNetworks$$' ./cmd/brunt

.PHONY: test-kubernetes
test-kubernetes: | $(BUILD) ## run shards under a real Kubernetes control plane (Linux; the first run builds it: ten minutes)
	cd internal/k8stest && nice $(GO) test -p 2 -count=1 -timeout 60m -v -artifacts -outputdir='$(abspath $(BUILD))' .

.PHONY: race
race: ## run every test 20 times under the race detector (minutes)
	$(GO) test -race -shuffle=on -count=20 ./...

.PHONY: soak
soak: ## the long forms of the tests of sinks, streams, replays, services, virtual time and the snippets of the docs
	BRUNT_SOAK=1 $(GO) test $(RACE) -count=1 -run 'LeavingAStream|TwoMillion|AnHour' ./loadtest
	BRUNT_SOAK=1 $(GO) test -count=1 -run 'LeavingAStream|TwoMillion|AnHour' ./loadtest
	BRUNT_SOAK=1 $(GO) test -count=1 -v -run 'Saturated' ./fixtures
	BRUNT_SOAK=1 $(GO) test -count=1 -timeout 60m -v -run 'Gigabyte' ./loadtest/replay
	BRUNT_SOAK=1 $(GO) test -count=1 -v -run '^TestVirtualSustained$$' .
	BRUNT_SOAK=1 $(GO) test $(RACE) -count=1 -v -run '^TestDocsSnippets$$' .

# The server and the load generator are processes of their own.
.PHONY: truth
truth: ## is the load of an open loop what the server saw, or the verdict INVALID and its cause right? (Linux; RUNS=20: 22 minutes, and nothing else may run)
	BRUNT_TRUTH='$(RUNS)' $(GO) test -count=1 -timeout 0 -v -run '^TestTruthAtTheServer$$' ./loadtest

.PHONY: vet
vet: ## go vet, for this system and cross-wise for the others
	$(GO) vet ./...
	GOOS=linux GOARCH=amd64 $(GO) vet ./...
	GOOS=darwin GOARCH=arm64 $(GO) vet ./...
	GOOS=windows GOARCH=amd64 $(GO) vet ./...

.PHONY: lint
lint: ## staticcheck and golangci-lint, which also checks the format
	$(TOOL) staticcheck ./...
	$(TOOL) golangci-lint run --allow-parallel-runners ./...
	cd loadtest/otelsink && $(TOOL) golangci-lint run --allow-parallel-runners ./...

.PHONY: fmt
fmt: ## format the code
	$(TOOL) golangci-lint fmt ./...

.PHONY: tidy
tidy: ## tidy go.mod and go.sum of every module
	$(GO) mod tidy
	cd tools && $(GO) mod tidy
	cd peers && $(GO) mod tidy
	cd loadtest/otelsink && $(GO) mod tidy
	cd loadtest/otelsink/readback && $(GO) mod tidy
	cd internal/k8stest && $(GO) mod tidy

.PHONY: tidy-check
tidy-check: ## fail if tidy would change anything
	$(GO) mod tidy -diff
	cd peers && $(GO) mod tidy -diff
	cd loadtest/otelsink && $(GO) mod tidy -diff
	cd loadtest/otelsink/readback && $(GO) mod tidy -diff

.PHONY: cover
cover: ## coverage by package, and coverage.html
	$(GO) test -coverprofile=coverage.out -coverpkg=./... ./...
	$(GO) test -cover ./...
	$(GO) tool cover -html=coverage.out -o coverage.html

.PHONY: apidiff
apidiff: ## what has changed in the exported API since REF (default: the last tag); fails if users may break
	@GO='$(GO)' bash tools/apidiff.sh $(REF)

# mutate: of which packages the core; FILES='a.go b*.go' instead of it; JOBS at a time.
PKG ?= internal/benchgate resilience loadtest loadtest/pace loadtest/internal/heap loadtest/internal/hist loadtest/internal/http1 loadtest/internal/jsonl loadtest/internal/label loadtest/internal/lines loadtest/internal/openloop loadtest/internal/servertiming
.PHONY: mutate
mutate: ## plant bugs, one at a time, and see which no test notices (PKG=resilience FILES=budget.go)
	@for pkg in $(PKG); do \
		GO='$(GO)' FILES='$(FILES)' TESTS='$(TESTS)' JOBS='$(JOBS)' bash tools/mutate.sh $$pkg || survived="$$survived $$pkg"; \
	done; test -z "$$survived" || { echo "make mutate has failed for$$survived" >&2; exit 1; }

.PHONY: fuzz
fuzz: ## fuzz every target for FUZZTIME
	@for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "fuzzing $$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 50x $$pkg || exit 1; \
		done; \
	done

# ---- benchmarks ---------------------------------------------------------------

.PHONY: bench-binary
bench-binary: | $(BUILD)
	@$(GO) test -c -o $(BUILD)/brunt.test .

# Each round runs every configuration once, so that a machine that slows down
# slows all of them; the rounds are what the intervals come from.
define rounds
	@: > $(2)
	@for round in $$(seq $(COUNT)); do \
		echo "round $$round of $(COUNT): $(N) requests through each" >&2; \
		BRUNT_LATENCY='$(LATENCY)' BRUNT_TARGET='$(TARGET)' BRUNT_CONCURRENCY='$(CONCURRENCY)' $(BUILD)/brunt.test -test.run '^$$' \
			-test.bench '$(1)' -test.benchtime $(N)x -test.timeout 30m > $(BUILD)/round.txt 2>&1 \
			|| { cat $(BUILD)/round.txt; exit 1; }; \
		cat $(BUILD)/round.txt >> $(2); \
		sed -n 's/^Benchmark\(.*\)-[0-9]*[ \t].*[ \t]\([0-9.]* req\/s\).*/  \1  \2/p' $(BUILD)/round.txt >&2; \
	done
endef

METRICS = .unit:(req/s OR p50-sec OR p99-sec OR err/op OR peak-B)

.PHONY: benchmark
benchmark: bench-binary ## compare engines, pooling strategies and clients against a real server
	$(call rounds,^BenchmarkEngines$$,$(BUILD)/benchmark.txt)
	@echo
	@echo '== engine against engine =='
	@$(GO) tool benchstat -filter '$(METRICS)' -table .config -row '/pool /client' -col '/engine@(sync threaded async)' $(BUILD)/benchmark.txt
	@echo
	@echo '== naive against optimized pool =='
	@$(GO) tool benchstat -filter '$(METRICS)' -table .config -row '/engine /client' -col '/pool@(naive optimized)' $(BUILD)/benchmark.txt
	@echo
	@echo '== net/http against wire, optimized pool =='
	@$(GO) tool benchstat -filter '$(METRICS) /pool:optimized' -table .config -row /engine -col '/client@(nethttp wire)' $(BUILD)/benchmark.txt

.PHONY: benchmark-limit
benchmark-limit: bench-binary ## how near the engines come to the physical limit of a 10 ms server
	$(call rounds,^BenchmarkLimit$$,$(BUILD)/limit.txt)
	@$(GO) tool benchstat -filter '.unit:(%limit OR req/s)' -row '/concurrency /client' -col /loop $(BUILD)/limit.txt

# The live line goes to standard error, the results to standard output and a file;
# go test's own exit code survives the pipe in a file beside it.
.PHONY: benchmark-full
benchmark-full: bench-binary ## sustained load, every record kept: DURATION, CONCURRENCY, WORKERS, OUT
	@mkdir -p '$(dir $(abspath $(OUT)))'
	@echo "$(DURATION) through each engine; records beside $(OUT)" >&2
	@{ BRUNT_LATENCY='$(LATENCY)' BRUNT_TARGET='$(TARGET)' BRUNT_DURATION='$(DURATION)' \
		BRUNT_CONCURRENCY='$(CONCURRENCY)' BRUNT_WORKERS='$(WORKERS)' BRUNT_RESULTS='$(abspath $(OUT))' \
		$(BUILD)/brunt.test -test.run '^$$' -test.bench '^BenchmarkSustained$$' -test.benchtime 1x \
		-test.v -test.timeout 0; echo $$? > $(BUILD)/full.status; } | tee $(BUILD)/full.txt
	@exit $$(cat $(BUILD)/full.status)

.PHONY: benchmark-open
benchmark-open: bench-binary ## an open loop: response times at RATE requests per second for DURATION
	@BRUNT_LATENCY='$(LATENCY)' BRUNT_TARGET='$(TARGET)' BRUNT_RATE='$(RATE)' BRUNT_DURATION='$(DURATION)' \
		$(BUILD)/brunt.test -test.run '^$$' -test.bench '^BenchmarkOpenLoop$$' -test.benchtime 1x -test.v -test.timeout 0

.PHONY: benchmark-capacity
benchmark-capacity: bench-binary ## the highest rate at which p99 stays within P99
	@BRUNT_TARGET='$(TARGET)' BRUNT_P99='$(P99)' \
		$(BUILD)/brunt.test -test.run '^$$' -test.bench '^BenchmarkCapacity$$' -test.v -test.timeout 0

.PHONY: benchmark-persistence
benchmark-persistence: bench-binary ## what keeping every record costs
	$(call rounds,^BenchmarkPersistence$$,$(BUILD)/persistence.txt)
	@$(GO) tool benchstat -filter '.unit:(req/s OR p99-sec OR peak-B)' -row .name -col '/sink@(none jsonl)' $(BUILD)/persistence.txt

.PHONY: benchmark-resilience
benchmark-resilience: ## a breaker opens, probes and heals under 100 % errors, against a real server
	@BRUNT_RESILIENCE=1 $(GO) test -count=1 -run '^TestResilienceAgainstAServer$$'

.PHONY: benchmark-overhead
benchmark-overhead: ## what an engine costs when the client does nothing
	$(GO) test -run '^$$' -bench Overhead -count $(COUNT) ./loadtest

.PHONY: benchmark-baseline
benchmark-baseline: bench-binary ## renew testdata/baseline.txt on this machine
	$(call rounds,^BenchmarkEngines$$,$(BUILD)/baseline.txt)
	cp $(BUILD)/baseline.txt testdata/baseline.txt

.PHONY: benchstat
benchstat: bench-binary ## compare a fresh run with testdata/baseline.txt
	$(call rounds,^BenchmarkEngines$$,$(BUILD)/fresh.txt)
	@$(GO) tool benchstat -filter '$(METRICS)' baseline=testdata/baseline.txt fresh=$(BUILD)/fresh.txt

# compare: what to compare with, and what.
BASE    ?=
PACKAGES ?= ./loadtest ./resilience
OWN      = ^Benchmark(Overhead|Breaker|Limiter|Retry|Budget|PipelinePut)

.PHONY: compare
compare: | $(BUILD) ## compare this tree's benchmarks with BASE=ref in shuffled pairs; fails if one got worse
	$(GO) build -o $(BUILD)/brunt ./cmd/brunt
	$(BUILD)/brunt compare $(if $(BASE),-base $(BASE)) -config .github/compare.json -bench '$(OWN)' -save $(BUILD)/compare -profile $(BUILD)/compare/profiles $(ARGS) $(PACKAGES)

.PHONY: compare-aa
compare-aa: ## compare this tree's quick benchmarks with themselves TRIALS=40 times: none may fail (half an hour)
	BRUNT_AA=$(or $(TRIALS),40) $(GO) test -count=1 -timeout 120m -v -run '^TestAA$$' ./cmd/brunt

.PHONY: compare-power
compare-power: ## plant slowdowns of 5, 10 and 20 % and an allocation: are they found as often as predicted? (TRIALS=20, 5 minutes)
	BRUNT_POWER=$(or $(TRIALS),20) $(GO) test -count=1 -timeout 120m -v -run '^TestPower$$' ./cmd/brunt

.PHONY: compare-capacity
compare-capacity: ## plant the loss of a tenth of a handler's capacity, and then nothing: red, and green? (10 minutes, and nothing else may run)
	BRUNT_CAPACITY=1 $(GO) test -count=1 -timeout 60m -v -run '^TestCompareFindsALossOfCapacityForReal$$' ./cmd/brunt

.PHONY: compare-thirdparty
compare-thirdparty: ## compare two versions of real modules, and the verdicts with benchstat (downloads them)
	BRUNT_THIRDPARTY=1 $(GO) test -count=1 -timeout 60m -v -run '^TestThirdParty$$' ./cmd/brunt

.PHONY: bench-peers
bench-peers: ## the same work by wrk, hey, bombardier, k6 and other libraries, side by side
	cd peers && $(GO) run ./cmd/benchpeers $(ARGS)

.PHONY: bench-open-peers
bench-open-peers: ## whether load generators send at the rate they are told, and what they say of a stall
	cd peers && $(GO) run ./cmd/benchopen $(ARGS)

.PHONY: bench-capacity-peers
bench-capacity-peers: ## searches for the capacity of a service of which it is known, with and without a noisy neighbor (half an hour)
	cd peers && $(GO) run ./cmd/benchcapacity $(ARGS)

.PHONY: bench-resilience-peers
bench-resilience-peers: ## breaker, limiter and retry beside other libraries'
	cd peers && $(GO) run ./cmd/benchresilience $(ARGS)

.PHONY: conformance-peers
conformance-peers: ## which resilience properties hold for which library (ARGS=-update renews the table)
	cd peers && $(GO) test ./resilience -run Conformance $(ARGS)

.PHONY: matrix
matrix: ## the fault matrix of HTTP clients, brunt's and others', in virtual time (ARGS=-update renews the table)
	cd peers && $(GO) test ./resilience -count=1 -run '^TestMatrix$$' $(ARGS)

# ---- the rest -----------------------------------------------------------------

.PHONY: test-peers
test-peers: ## test the comparison module (downloads the peers)
	cd peers && $(GO) vet ./... && $(GO) test $(RACE) ./...

# What is of Prometheus takes long to build, and longer with the race detector, which has
# nothing to find in it.
.PHONY: test-otel
test-otel: ## test the export as OpenTelemetry metrics, and read it back with Prometheus (downloads it; two minutes to build)
	cd loadtest/otelsink && $(GO) vet ./... && $(GO) test $(RACE) -shuffle=on ./...
	cd loadtest/otelsink/readback && $(GO) vet ./... && $(GO) test -shuffle=on ./...

.PHONY: ci
ci: ## what the continuous integration runs
	bash .ci/run

.PHONY: rename
rename: ## MODULE=host/path: give the module its path, everywhere
	@test -n '$(MODULE)' || { echo 'usage: make rename MODULE=host/path'; exit 2; }
	@old=$$($(GO) list -m); \
	git grep -lF "$$old" -- . | while read -r f; do \
		sed "s|$$old|$(MODULE)|g" "$$f" > "$$f.renamed" && cat "$$f.renamed" > "$$f" && rm "$$f.renamed"; \
	done; \
	echo "$$old is now $(MODULE)"
	gofmt -l .

.PHONY: clean
clean: ## remove what the targets have made
	rm -rf $(BUILD) coverage.out coverage.html _artifacts
