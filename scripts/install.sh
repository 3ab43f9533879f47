#!/usr/bin/env bash
# Installs or removes the built files; `make install`, `make uninstall` and
# `make package` call it.
#
#   scripts/install.sh install|uninstall PROGRAMS PAGES
#
# PROGRAMS is the folder of the built programs, PAGES the folder of their man pages
# and completions (scripts/pages.sh). The environment sets DESTDIR, a prefix of
# every path; PREFIX; and ZSHDIR, the folder of zsh's completions. It installs
# nothing into /etc and starts nothing.
set -euo pipefail

usage() {
	echo "usage: scripts/install.sh install|uninstall PROGRAMS PAGES" >&2
	exit 64
}

[ $# -eq 3 ] || usage
action=$1
programs=$(realpath "$2")
pages=$(realpath "$3")
cd "$(dirname "$0")/.."

readonly dest=${DESTDIR:-} prefix=${PREFIX:-/usr/local}
readonly zsh=${ZSHDIR:-$prefix/share/zsh/site-functions}
readonly share=$prefix/share/understudy doc=$prefix/share/doc/understudy
case $prefix in /*) ;; *)
	echo "install: error: PREFIX must be an absolute path, not '$prefix'" >&2
	exit 64
	;;
esac

# put MODE FOLDER FILE…: installs files below ROOT, which is set below.
put() {
	local mode=$1 folder=$2
	shift 2
	install -d -m 0755 "$root$folder"
	install -m "$mode" "$@" "$root$folder/"
}

# put_all ROOT: installs everything. Only this function knows the layout
# (docs/packages.md).
put_all() {
	local root=$1 drop_in file
	# In bin, not sbin: the other node's programs are found on the search path of
	# a non-interactive ssh login, which has no sbin.
	put 0755 "$prefix/bin" "$programs"/{failover-notify,image-sync,lag-check,track-traefik,zfs-replicate}
	# The whole of failover-notify, which the one in bin starts for all but hooks.
	put 0755 "$prefix/lib/understudy" "$programs/libexec/failover-notify"
	put 0644 "$prefix/share/man/man8" "$pages"/man/*
	put 0644 "$prefix/share/bash-completion/completions" "$pages"/bash/*
	put 0644 "$zsh" "$pages"/zsh/*
	put 0644 "$prefix/share/fish/vendor_completions.d" "$pages"/fish/*

	put 0644 "$prefix/lib/systemd/system" packaging/systemd/*.service packaging/systemd/*.timer
	# Beside the units a drop-in would take effect at once, on a keepalived or an
	# engine that is not set up yet: the operator or setup puts these in place.
	for drop_in in keepalived docker; do
		put 0644 "$share/systemd/$drop_in.service.d" "packaging/systemd/$drop_in.service.d"/*
	done
	put 0644 "$share/keepalived" packaging/keepalived/*.conf
	# These contain absolute paths of our programs.
	for file in "$root$prefix/lib/systemd/system"/understudy* "$root$share"/systemd/*/* "$root$share"/keepalived/*; do
		sed -i "s#/usr/bin/\(failover-notify\|image-sync\|lag-check\|track-traefik\|zfs-replicate\)#$prefix/bin/\1#" "$file"
	done

	put 0644 "$share" packaging/examples/config.yaml
	put 0644 "$share/cron" packaging/cron/{image-sync,lag-check,zfs-replicate}
	put 0644 "$share/grafana" packaging/grafana/*.json
	put 0644 "$share/logrotate" packaging/logrotate/understudy
	put 0644 "$share/prometheus" packaging/prometheus/understudy.rules.yml
	put 0644 "$share/schema" packaging/schema/*.json

	put 0644 "$doc" README.md CHANGELOG.md LICENSE SECURITY.md
	cp -R docs "$root$doc/"
	find "$root$doc/docs" -type f -exec chmod 0644 {} + -o -type d -exec chmod 0755 {} +
	ln -sfn ../../understudy "$root$doc/examples"
}

# take_all: removes the files of put_all, and empty folders of the project.
take_all() {
	local stage path
	stage=$(mktemp -d)
	# shellcheck disable=SC2064 # this very folder
	trap "rm -rf '$stage'" EXIT
	put_all "$stage"
	while IFS= read -r -d '' path; do
		rm -f "$dest/$path"
	done < <(find "$stage" ! -type d -printf '%P\0')
	while IFS= read -r -d '' path; do
		case $path in *understudy* | *.service.d) rmdir "$dest/$path" 2>/dev/null || true ;; esac
	done < <(find "$stage" -depth -type d -printf '%P\0')
}

case $action in
install) put_all "$dest" ;;
uninstall) take_all ;;
*) usage ;;
esac
