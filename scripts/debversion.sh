#!/usr/bin/env bash
# Prints a version in Debian's form, so that dpkg orders versions like the commits.
#
#   scripts/debversion.sh VERSION
#
# VERSION is the output of `git describe`: v1.2.3 becomes 1.2.3, three commits later
# 1.2.3+3.gb8d75e4, and the candidate v1.2.3-rc.1 becomes 1.2.3~rc.1. Without an
# earlier tag it is 0~ and the commit's date (SOURCE_DATE_EPOCH).
set -euo pipefail

[ $# -eq 1 ] || {
	echo "usage: scripts/debversion.sh VERSION" >&2
	exit 64
}
version=${1%-dirty}
dirty=
[ "$version" = "$1" ] || dirty=+dirty

readonly number='([0-9]+(\.[0-9]+)*)' later='(-([0-9]+)-(g[0-9a-f]+))'
if [[ $version =~ ^v$number(-([0-9A-Za-z.]+))?$later?$ ]]; then
	version=${BASH_REMATCH[1]}${BASH_REMATCH[4]:+"~${BASH_REMATCH[4]}"}
	version+=${BASH_REMATCH[6]:+"+${BASH_REMATCH[6]}.${BASH_REMATCH[7]}"}
else
	version=0~$(date -u -d "@${SOURCE_DATE_EPOCH:-0}" +%Y%m%d%H%M%S).${version//[^0-9A-Za-z.]/.}
fi
echo "$version$dirty"
