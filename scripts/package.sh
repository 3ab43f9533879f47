#!/usr/bin/env bash
# Makes dist/understudy_VERSION_ARCH.deb from the built files; `make package` calls
# it. The same commit gives the same bytes.
#
#   scripts/package.sh VERSION PAGES ARCH=PROGRAMS…
#
# VERSION is the output of `git describe`; PAGES and PROGRAMS are folders, as for
# scripts/install.sh. SOURCE_DATE_EPOCH is the date of all packaged files.
set -euo pipefail

if [ $# -lt 3 ] || [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
	echo "usage: SOURCE_DATE_EPOCH=… scripts/package.sh VERSION PAGES ARCH=PROGRAMS…" >&2
	exit 64
fi
described=$1
pages=$(realpath "$2")
shift 2
cd "$(dirname "$0")/.."
umask 022
export LC_ALL=C TZ=UTC

# licenses: prints the licenses of Go and of all libraries in the programs.
licenses() {
	local module folder file
	echo "Go, https://go.dev"
	echo
	cat "$(go env GOROOT)/LICENSE"
	while IFS=$'\t' read -r module folder; do
		for file in "$folder"/{LICENSE,LICENCE,COPYING,NOTICE,License,Copying}*; do
			[ -f "$file" ] || continue
			printf '\n\n%s: %s\n\n' "$module" "${file##*/}"
			cat "$file"
		done
	done < <(GOOS=linux GOFLAGS="$GOFLAGS -mod=readonly" go list -deps \
		-f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{"\t"}}{{.Dir}}{{end}}{{end}}' ./cmd/... ./libexec/... | sort -u)
}

# stage FOLDER PROGRAMS: makes the tree of the package.
stage() {
	local root=$1 doc=$1/usr/share/doc/understudy
	rm -rf "$root"
	DESTDIR=$root PREFIX=/usr ZSHDIR=/usr/share/zsh/vendor-completions scripts/install.sh install "$2" "$pages"
	# In the package, logrotate's file is a conffile, and copyright holds the license.
	rm -r "$root/usr/share/understudy/logrotate" "$doc/LICENSE"
	install -m 0644 packaging/debian/copyright "$doc/copyright"
	install -D -m 0644 packaging/debian/lintian-overrides "$root/usr/share/lintian/overrides/understudy"
	gzip -9n "$root"/usr/share/man/man8/*
	cp "$libraries" "$doc/libraries.txt.gz"
	printf 'understudy (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- %s  %s\n' "$DEB_VERSION" \
		"$(sed -n 's/^maintainer: //p' packaging/debian/nfpm.yaml)" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" |
		gzip -9n >"$doc/changelog.gz"
	chmod 0644 "$doc/changelog.gz" "$doc/libraries.txt.gz"
	find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

DEB_VERSION=$(scripts/debversion.sh "$described")
export DEB_VERSION GOFLAGS="${GOFLAGS:-}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
libraries=$work/libraries.txt.gz
licenses | gzip -9n >"$libraries"

mkdir -p dist
rm -f dist/understudy_*.deb # of other versions
for pair in "$@"; do
	ARCH=${pair%%=*} STAGE=$work/${pair%%=*}
	export ARCH STAGE
	stage "$STAGE" "$(realpath "${pair#*=}")"
	deb=dist/understudy_${DEB_VERSION}_$ARCH.deb
	env -u GOARCH -u GOOS go tool -modfile=packaging/nfpm/go.mod nfpm package --config packaging/debian/nfpm.yaml --packager deb --target "$deb" >"$work/log" || {
		cat "$work/log" >&2
		exit 1
	}
	echo "$deb"
done
