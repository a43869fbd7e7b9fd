#!/usr/bin/env bash
# Fetches NVIDIA's compiler library, assembler, disassemblers and headers, which are Python wheels, into the cache, and prints
# their folder as the last line of standard output: bin/, lib/, include/. They need no driver and no device. Their
# licence is NVIDIA's; nothing of them becomes part of Paceline.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/cache.sh"
# 13.0 is what drivers of series 580 read; a newer compiler writes what they don't.
wheels="nvidia-cuda-nvrtc==13.0.88 nvidia-cuda-nvcc==13.0.88 nvidia-cuda-runtime==13.0.96 nvidia-cuda-cuobjdump==13.5.37 nvidia-cuda-nvdisasm==13.5.37"
need python3 "install it with: sudo apt-get install python3 python3-pip"
dest="$(cache_root)/cudatools/$(printf '%s' "$wheels" | digest)"
if [ ! -e "$dest/done" ]; then
	temp=$(mktemp -d "${TMPDIR:-/tmp}/cudatools.XXXXXX")
	trap 'rm -rf "$temp"' EXIT
	say "NVIDIA's compiler tools (135 MB, once)" >&2
	# shellcheck disable=SC2086
	python3 -m pip download -q --disable-pip-version-check --no-deps -d "$temp" $wheels >&2 ||
		die "can't fetch the wheels: $wheels; try again with a network, or set PACELINE_CUDA_HOME to a toolkit"
	for wheel in "$temp"/*.whl; do python3 -m zipfile -e "$wheel" "$temp/out"; done
	chmod +x "$temp"/out/nvidia/cu13/bin/*
	mkdir -p "$dest"
	cp -R "$temp"/out/nvidia/cu13/. "$dest"
	touch "$dest/done"
fi
printf '%s\n' "$dest"
