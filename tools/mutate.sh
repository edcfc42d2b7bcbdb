#!/usr/bin/env bash
# tools/mutate.sh package: plant bugs in the package's core, one at a time, and run its
# tests over each. A bug that no test notices is a finding, and so is one that keeps the
# tests from ending; a finding that is not in the package's testdata/survivors.txt with
# its reason is a failure. From the environment:
#
#	FILES    names or patterns of files instead of the core
#	TESTS    which tests to run, as in go test -run: what they kill is dead, what they
#	         let live the others may kill; all but the examples by default, which go on
#	         in real time after a test has failed
#	JOBS     how many bugs at a time; by default one for every processor
#	TIMEOUT  how many times as long as without a bug the tests may take, with what
#	         is built for them, 10 by default
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
go=${GO:-go}

pkg=${1%/} pkg=${pkg#./}
# Where a wrong operator can hide: state machines, arithmetic, accounts. Shells over
# clocks and sockets have tests that wait, and bugs of another kind.
case $pkg in
loadtest) core='collector.go dispatcher.go interval.go recorder.go run.go slo.go source*.go stats.go tally.go verdict.go warning.go worker.go' ;;
loadtest/internal/heap) core='growth.go' ;;
loadtest/internal/jsonl) core='record.go' ;;
loadtest/internal/hist) core='histogram.go series.go' ;;
resilience) core='backoff.go breaker*.go budget.go limiter*.go retry*.go waitlist.go window.go' ;;
*) core='*.go' ;;
esac
read -ra patterns <<<"${FILES:-$core}"

# What the go command builds here of what was asked for, and the rest, which gremlins
# wants to be told to leave.
path=$("$go" list "./$pkg")
files=() leave=()
while read -r file; do
	mutate=
	for pattern in "${patterns[@]}"; do
		# shellcheck disable=SC2053 # a pattern
		if [[ $file == $pattern ]]; then mutate=yes; fi
	done
	if [ "$mutate" ]; then files+=("$file"); else leave+=("$file"); fi
done < <("$go" list -f '{{join .GoFiles "\n"}}{{"\n"}}{{join .IgnoredGoFiles "\n"}}' "./$pkg" | grep -v '^$\|_test\.go$')
for pattern in "${patterns[@]}"; do
	# shellcheck disable=SC2053 # a pattern
	for file in "${files[@]}" ''; do if [[ $file == $pattern ]]; then continue 2; fi; done
	echo "$pkg has no file $pattern" >&2
	exit 2
done
exclude=(--exclude-files /)
for file in "${leave[@]}"; do exclude+=(--exclude-files "^${file//./\\.}\$"); done

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# gremlins leaves what a coverage profile does not name, and a profile names neither
# the expression of a case nor a constant; and it takes a package in whose folder's name
# it does not find the package's for the module's root. So the go command that it finds
# says that everything is covered, which lets what no test runs survive as it should, and
# tests the package that is meant.
mkdir "$tmp/bin"
cat >"$tmp/bin/go" <<END
#!/usr/bin/env bash
if [ "\$1" != test ]; then exec "$(command -v "$go")" "\$@"; fi
if [ "\$2 \$3" = "-cover -coverprofile" ]; then
	{ echo 'mode: set' && printf "$path/%s:1.1,1000000.1 1 1\n" ${files[*]}; } >"\$4"
	exec "$(command -v "$go")" test "$path"
fi
exec "$(command -v "$go")" "\${@:1:\$#-1}" "$path"
END
chmod +x "$tmp/bin/go"

# -count=1: gremlins takes how long a test may run from how long the tests took, and
# from the cache they take no time. -failfast: what the first test notices need hang no
# other. invert-negatives repeats what arithmetic-base does. The build cache is its own,
# as each bug leaves some 20 MB in it, and has what is built before anything is timed.
echo "mutating ${files[*]} of $pkg"
gremlins=$("$go" tool -modfile="$PWD/tools/go.mod" -n gremlins)
export GOCACHE="$tmp/cache"
"$go" test -vet=off -ldflags=-w -c -o "$tmp/test" "$path"
PATH="$tmp/bin:$PATH" GOFLAGS="$("$go" env GOFLAGS) -count=1 -short -failfast -vet=off -ldflags=-w -run=${TESTS:-^(Test|Fuzz)}" \
	"$gremlins" unleash "./$pkg" "${exclude[@]}" \
	--invert-negatives=false --invert-logical --invert-loopctrl --invert-assignments \
	--invert-bitwise --invert-bwassign --remove-self-assignments \
	--timeout-coefficient "${TIMEOUT:-10}" --workers "${JOBS:-0}" | tee "$tmp/log"

# gremlins leaves with success when it is interrupted.
grep -q '^Mutation testing completed' "$tmp/log" || exit 1

# A finding names its line by its text, in which «» is about the operator: line
# numbers move whenever a line is added above.
sed -nE 's/^ *(LIVED|TIMED OUT|NOT COVERED) ([A-Z_]+) at (.+):([0-9]+):([0-9]+)$/\1\t\2\t\3\t\4\t\5/p' "$tmp/log" |
	while IFS=$'\t' read -r status mutation file line col; do
		text=$(LC_ALL=C sed -n "${line}p" "$pkg/$file" | LC_ALL=C sed -E "s/^(.{$((col - 1))})([^[:alnum:][:space:]_(\"'.]+|[a-z]+)/\1«\2»/; s/^[[:space:]]+//")
		echo "$file: $status $mutation: $text"
	done | sort | "$go" run ./internal/waive "$pkg/testdata/survivors.txt"
