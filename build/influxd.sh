#!/usr/bin/env bash
# Builds influxd, the InfluxDB 2 server that the tests and examples of the
# InfluxDB series store run against, and prints the program's path as the last
# line of standard output. The server has no web pages (they are not needed here).
#
# It is built once per version into
# ${PACELINE_CACHE:-${XDG_CACHE_HOME:-~/.cache}/paceline}/influxd/<version>/influxd.
# A second call prints the path and does nothing else. Calls at once are safe.
# Where an influxd of one's own exists, nothing needs this script.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/cache.sh"

# Not the newest: v2.10.0 depends on a release of flux that module proxies refuse.
version=v2.9.1
min_cargo=1.83.0

root="$(cache_root)/influxd"
dest="$root/$version"
if [ -x "$dest/influxd" ]; then
	printf '%s\n' "$dest/influxd"
	exit 0
fi
need go "install Go 1.26 or newer from https://go.dev/dl"
mkdir -p "$dest" || die "cannot make the folder $dest; check its permissions, or set PACELINE_CACHE"
lock_folder "$dest"
if [ -x "$dest/influxd" ]; then
	printf '%s\n' "$dest/influxd"
	exit 0
fi
need cc "install a C compiler and linker (Debian: apt-get install gcc)"
need_cargo "$min_cargo"

# influxd's query language is a Rust library whose source pins an old toolchain,
# which rustup would try to download. The toolchain in use here works as well.
if command -v rustup >/dev/null 2>&1 && [ -z "${RUSTUP_TOOLCHAIN:-}" ]; then
	RUSTUP_TOOLCHAIN=$(cd / && rustup show active-toolchain | sed -n '1s/ .*//p')
	[ -n "$RUSTUP_TOOLCHAIN" ] || die "rustup has no active toolchain; run 'rustup default stable' and try again"
	export RUSTUP_TOOLCHAIN
fi

new_scratch "$dest"
say "building influxd $version (many minutes of CPU time, once)"
source=$(module_dir "github.com/influxdata/influxdb/v2@$version")
mkdir "$scratch/src" "$scratch/bin"
cp -R "$source/." "$scratch/src/"
chmod -R u+w "$scratch/src" # the module cache is read-only

cd "$scratch/src"
export GOWORK=off GOFLAGS="-mod=mod" CGO_ENABLED=1
# This stand-in for pkg-config builds the Rust library when Go asks for its flags.
GOBIN="$scratch/bin" go install github.com/influxdata/pkg-config >&2 ||
	die "cannot build github.com/influxdata/pkg-config (go's messages are above)"
# It leaves half a gigabyte in Go's build cache, which only this build can use.
rust_leftovers="$(go env GOCACHE)/pkgconfig"
PKG_CONFIG="$scratch/bin/pkg-config" go build -tags sqlite_foreign_keys,sqlite_json \
	-ldflags "-s -w -X main.version=$version" -o "$scratch/bin/influxd" ./cmd/influxd >&2 ||
	die "cannot build influxd (the messages of go and cargo are above); check the network, then run this script again"
rm -rf "$rust_leftovers"

"$scratch/bin/influxd" version >&2 || die "the influxd just built does not run; its message is above"
mv -f "$scratch/bin/influxd" "$dest/influxd"
say "built $dest/influxd"
printf '%s\n' "$dest/influxd"
