#!/usr/bin/env bash
# Runs every check of the sources and fails if one of them fails. It runs all, so
# that one run shows everything to correct.
set -uo pipefail

cd "$(dirname "$0")/.." || exit

failed=0

# check NAME COMMAND…: runs a check, shows its output, and judges its exit code.
check() {
	local name=$1
	shift
	if "$@"; then
		echo "ok    $name"
	else
		echo "FAIL  $name"
		failed=1
	fi
}

# nothing COMMAND…: fails when the command prints anything.
nothing() {
	local output
	output=$("$@") || return 1
	[ -z "$output" ] && return 0
	printf '%s\n' "$output"
	return 1
}

sources() { find . -name '*.go' -not -path './.git/*' -not -path './bin/*' "$@"; }

formatted() { sources -exec "$(go env GOROOT)/bin/gofmt" -l {} +; }

# Packages have no functions that run before main, and no exits that skip deferred
# calls.
no_init() { sources -exec grep -nE '^func init\(\)' {} /dev/null \;; }
no_exit() {
	sources -path './pkg/*' -not -path './pkg/cli/process.go' -not -name '*_test.go' \
		-exec grep -nE '\bos\.Exit\(|\blog\.Fatal' {} /dev/null \;
}

tool() { go tool -modfile=tools/go.mod "$@"; }

# depguard falls back to an empty configuration when it finds none.
directions() { [ -f .depguard.yaml ] && tool depguard ./cmd/... ./libexec/... ./pkg/...; }

shell_scripts() {
	find . -type f -not -path './.git/*' -not -path './bin/*' \
		-exec awk 'FNR == 1 { if (/^#!.*[\/ ](ba|da)?sh( |$)/) print FILENAME; nextfile }' {} +
}

shell() {
	local scripts
	mapfile -t scripts < <(shell_scripts)
	[ ${#scripts[@]} -gt 0 ] && shellcheck "${scripts[@]}"
}

check "gofmt" nothing formatted
check "prose" go run ./scripts/prose
check "no init functions" nothing no_init
check "no os.Exit in packages" nothing no_exit
check "go vet" go vet ./...
check "go vet, with tags" go vet -tags drill,man,measure ./...
check "staticcheck" tool staticcheck -tags drill,man,measure ./...
check "package directions" directions
check "shellcheck" shell
exit "$failed"
