#!/usr/bin/env bash
# make test-arm64: the CPU backend on aarch64, built by a cross compiler and run by an
# emulator of its instructions. It proves numbers, not speed. Installs with apt what it
# needs. What the emulator is too slow for is left out by name.
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD/build
. build/cache.sh

[ "$(uname -m)" != aarch64 ] || die "this machine is an aarch64 itself: make test tests it"
missing=()
command -v aarch64-linux-gnu-gcc >/dev/null 2>&1 || missing+=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross)
command -v qemu-aarch64 >/dev/null 2>&1 || missing+=(qemu-user)
if [ ${#missing[@]} -gt 0 ]; then
	need apt-get "this is no Debian or Ubuntu: install ${missing[*]} with your own package manager"
	sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
	$sudo apt-get update -qq
	$sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# The conformance suite runs for the best kernel set, and covers mixes of rows; models of
# other shapes, long contexts and the goldens of the shipped model need minutes here.
slow='^TestConformance$/^(scalar|bf16|threads)$|^TestSameBits$|^TestGolden|^TestShapes$|^TestLongContext|^FuzzDoor$|^TestNoSpills$|^TestSpillsAreSeen$'
say "left out, too slow in an emulator or done on the host: $slow"

say "object code"
go test -json -tags native -run '^TestNoSpills$|^TestSpillsAreSeen$' ./engine/cpu | go run ./build/testsum ${COUNTS:+-add "$COUNTS"}
say "kernels and backend"
CGO_ENABLED=1 GOARCH=arm64 CC=aarch64-linux-gnu-gcc CGO_CFLAGS="-O2 -g" CGO_LDFLAGS='' \
	go test -json -tags native -timeout 15m -exec 'qemu-aarch64 -L /usr/aarch64-linux-gnu' -skip "$slow" ./engine/cpu ./engine/sample |
	go run ./build/testsum ${COUNTS:+-add "$COUNTS"}
