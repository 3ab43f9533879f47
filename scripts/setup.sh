#!/usr/bin/env bash
# Installs missing packages for building, testing and the lab, on Debian 12 and 13
# and Ubuntu 24.04. It checks first, so repeating it costs nothing.
#
#   scripts/setup.sh             everything
#   scripts/setup.sh toolchain   the needs of `make build` and `make test` alone
set -euo pipefail

cd "$(dirname "$0")/.."

# An older Go command fetches the toolchain of go.mod from the module proxy.
# Distributions disable this by default.
export GOTOOLCHAIN="${GOTOOLCHAIN:-auto}"
export PATH="$PATH:/usr/local/go/bin"
# The first Go release that can fetch another.
readonly oldest_go=1.21

toolchain_packages=(ca-certificates git make)
lab_packages=(
	cpio # unpacks an initial ramdisk
	debian-archive-keyring # the node image is Debian on any host
	e2fsprogs
	etcd-server # the tests start their own
	gcc libc6-dev # the race detector
	iproute2
	kmod
	lintian # checks the Debian package
	mmdebstrap
	openssh-client
	qemu-system-x86
	qemu-utils
	shellcheck
	util-linux
	zstd
)

# The tests of alerts, metrics and mail fetch and unpack these themselves: an
# installed package would start its server.
fetched_packages=(exim4-daemon-light libidn12 prometheus prometheus-node-exporter)

say() { echo "setup: $*" >&2; }

die() {
	say "error: $1"
	say "hint: $2"
	exit 1
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "packages must be installed as root, and sudo is missing" "run this as root"
	fi
}

apt() {
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}

# Cleared by the first update: a run updates the lists once.
lists_old=yes

install() {
	command -v apt-get >/dev/null ||
		die "these packages are missing, and this is not Debian or Ubuntu: $*" "install the corresponding packages, then run make again"
	if [ -n "$lists_old" ]; then
		apt update
		lists_old=
	fi
	apt install -y --no-install-recommends "$@"
}

installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

install_missing() {
	local package missing=()
	# Other distributions use their installed programs. A program that
	# misses one names it.
	command -v dpkg-query >/dev/null || return 0
	for package in "$@"; do
		installed "$package" || missing+=("$package")
	done
	[ ${#missing[@]} -eq 0 ] && return 0
	say "installing ${missing[*]}"
	install "${missing[@]}"
}

# known PACKAGE…: ensures that apt-get can fetch them. The lists may be missing,
# as in an image for containers.
known() {
	local package
	command -v apt-cache >/dev/null || return 0
	for package in "$@"; do
		if ! apt-cache show "$package" >/dev/null 2>&1; then
			apt update
			return
		fi
	done
}

# at_least A B: version A is B or newer.
at_least() { [ "$(printf '%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# The version of the Go command itself, not of the toolchain in go.mod.
go_version() { GOTOOLCHAIN=local go env GOVERSION 2>/dev/null | sed 's/^go//'; }

usable_go() {
	command -v go >/dev/null && at_least "$(cd / && go_version)" "$oldest_go"
}

install_go() {
	local candidate
	say "installing Go"
	install ca-certificates
	candidate=$(apt-cache policy golang-go | sed -n 's/^ *Candidate: *\([0-9]*:\)\{0,1\}//p')
	if at_least "${candidate:-0}" "$oldest_go"; then
		apt install -y --no-install-recommends golang-go
		return
	fi
	# Debian 12 has a newer release in its backports.
	local suite
	suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	[ "$suite" = bookworm ] ||
		die "this system has no Go of version $oldest_go or newer" "install Go from https://go.dev/dl/ to /usr/local/go"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm-backports main" |
		as_root tee /etc/apt/sources.list.d/understudy-backports.list >/dev/null
	apt update
	apt install -y --no-install-recommends -t bookworm-backports golang-go
}

toolchain() {
	install_missing "${toolchain_packages[@]}"
	usable_go || install_go
	local want have
	want=$(sed -n 's/^go //p' go.mod)
	if ! have=$(go env GOVERSION) || ! at_least "${have#go}" "$want"; then
		die "Go $want is not available (have ${have:-none}, GOTOOLCHAIN=$GOTOOLCHAIN)" \
			"set GOTOOLCHAIN=auto and let Go reach its module proxy, or install Go $want to /usr/local/go"
	fi
}

case "${1:-all}" in
toolchain)
	toolchain
	;;
all)
	toolchain
	new_etcd=
	installed etcd-server || new_etcd=yes
	install_missing "${lab_packages[@]}"
	# Debian starts an installed server; the tests do not need it.
	if [ -n "$new_etcd" ] && [ -d /run/systemd/system ]; then
		as_root systemctl disable --now etcd.service
	fi
	known "${fetched_packages[@]}"
	# Now, so that later steps do not depend on the network.
	go mod download
	go -C tools mod download
	go -C packaging/nfpm mod download
	;;
*)
	echo "usage: scripts/setup.sh [all|toolchain]" >&2
	exit 64
	;;
esac
