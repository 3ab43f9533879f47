#!/usr/bin/env bash
# Generates the man pages and the completions of all programs from their commands.
#
#   scripts/pages.sh FOLDER
#
# They are the same for every architecture. Programs that can write them are built
# for this machine and removed afterwards. SOURCE_DATE_EPOCH is the pages' date.
set -euo pipefail

[ $# -eq 1 ] || {
	echo "usage: scripts/pages.sh FOLDER" >&2
	exit 64
}
mkdir -p "$1"
to=$(realpath "$1")
cd "$(dirname "$0")/.."

rm -rf "$to"/{man,bash,zsh,fish}
mkdir -p "$to"/{man,bash,zsh,fish}
programs=$(mktemp -d)
trap 'rm -rf "$programs"' EXIT
env -u GOARCH -u GOOS CGO_ENABLED=0 go build -trimpath -tags man -o "$programs/" ./cmd/...
env -u GOARCH -u GOOS CGO_ENABLED=0 go build -trimpath -tags man -o "$programs/" ./libexec/... # of failover-notify the whole
for program in "$programs"/*; do
	name=${program##*/}
	"$program" man "$to/man"
	"$program" completion bash >"$to/bash/$name"
	"$program" completion zsh >"$to/zsh/_$name"
	"$program" completion fish >"$to/fish/$name.fish"
done
