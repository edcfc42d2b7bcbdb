#!/usr/bin/env bash
# tools/apidiff.sh [ref]: what has changed in the module's exported API since ref, and
# a failure for each change that breaks users and is not in testdata/apidiff.txt with
# its reason. Without ref it is the last tag, or where there is none the commit at which
# the work left main. Users' code is compiled here, not run: that it does the same as
# before only tests can say.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
go=${GO:-go}

ref=${1:-}
for main in main origin/main origin/HEAD; do
	ref=${ref:-$(git describe --tags --abbrev=0 2>/dev/null || git merge-base HEAD $main 2>/dev/null || true)}
done
git rev-parse --quiet --verify "$ref^{commit}" >/dev/null || {
	echo "no commit ${ref:-to compare with, neither a tag nor main}: name one that this clone has, make apidiff REF=…" >&2
	exit 2
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/old"
git archive "$ref" | tar -x -C "$tmp/old"

apidiff() { "$go" tool -modfile="$root/tools/go.mod" apidiff "$@"; }
export_api() ( # tree, file
	cd "$1"
	apidiff -m -w "$2" "$("$go" list -m)"
)
export_api "$tmp/old" "$tmp/old.api"
export_api . "$tmp/new.api"
apidiff -m "$tmp/old.api" "$tmp/new.api" >"$tmp/changes" 2>"$tmp/ignored" || { cat "$tmp/ignored" >&2; exit 1; }

changes() { sed -n "/^$1 changes:/,/^[A-Z]/s/^- //p" "$tmp/changes"; }
echo "compatible changes since $ref: $(changes Compatible | wc -l)"
changes Compatible | sed 's/^/  /'
echo "incompatible changes since $ref: $(changes Incompatible | wc -l)"
changes Incompatible | sed 's/^/  /'
changes Incompatible | "$go" run ./internal/waive testdata/apidiff.txt
