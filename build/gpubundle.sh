#!/usr/bin/env bash
# make gpu-bundle: one archive for a machine that has a GPU and its driver, and neither Go nor a network: gpucheck, the
# test binaries of the CUDA packages, cubins for the architectures of data centres, and a script that runs it all.
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD/build
. build/cache.sh
need go "install Go 1.26 or newer from https://go.dev/dl"
PACELINE_CUDA_HOME="$(build/cudatools.sh | tail -n 1)"
export PACELINE_CUDA_HOME
dir=$(mktemp -d "${TMPDIR:-/tmp}/gpubundle.XXXXXX")
trap 'rm -rf "$dir"' EXIT
strip=(-trimpath -ldflags '-s -w')
CGO_ENABLED=0 go build -tags native "${strip[@]}" -o "$dir/gpucheck" ./build/gpucheck
for name in cuda cuda/driver; do
	CGO_ENABLED=0 go test -c -tags native "${strip[@]}" -o "$dir/$(basename "$name").test" "./engine/$name"
done
mkdir -p "$dir/testdata" "$dir/cache/kernels"
cp engine/cuda/driver/testdata/* engine/cuda/testdata/* "$dir/testdata/"
say "cubins" >&2
CGO_ENABLED=0 go run ./build/kernels -cubins -out "$dir/cache/kernels" -arch "${ARCHS:-sm_80,sm_89,sm_90a}" >&2
say "cubins of the tests" >&2
CUDA_CODE="$dir/cache/kernels" CUDA_CODE_FOR="${TEST_ARCHS:-sm_90a}" go test -count=1 -tags native ./engine/cuda ./engine/cuda/driver >&2
CGO_ENABLED=0 "$dir/gpucheck" -compile "${ARCHS:-sm_80,sm_89,sm_90a}" -out "$dir/cache/kernels" >&2
cp build/gpucheck/peers.py "$dir/"
cat >"$dir/run.sh" <<'RUN'
#!/bin/sh
# Everything in one go; results in this folder, or where -out says.
cd "$(dirname "$0")" || exit 1
PACELINE_CACHE="$PWD/cache" CUDA_CODE="$PWD/cache/kernels" exec ./gpucheck -out . "$@"
RUN
chmod +x "$dir/run.sh"
mkdir -p bin
tar -czf bin/gpu-bundle.tar.gz -C "$dir" .
size=$(stat -c %s bin/gpu-bundle.tar.gz 2>/dev/null || stat -f %z bin/gpu-bundle.tar.gz)
[ "$size" -le $((48 << 20)) ] || die "the bundle takes $size bytes: 48 MiB are allowed"
say "bin/gpu-bundle.tar.gz, $((size >> 20)) MiB: unpack it on the machine and run ./run.sh" >&2
