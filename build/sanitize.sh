#!/usr/bin/env bash
# make sanitize: the C code of engine/cpu under the address and undefined-behaviour
# sanitizers, then its threads under the thread sanitizer, by the package's own tests.
# The pieces of a mapped region have red zones between them (memory.h), and
# TestSanitizerSees proves that each sanitizer would have spoken.
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD/build
. build/cache.sh
need gcc "install it with: sudo apt-get install gcc"

export CGO_ENABLED=1
sum() { go run ./build/testsum ${COUNTS:+-add "$COUNTS"}; }

# One test of each kernel, and whole steps by the suite of all backends. The longer tests of
# numbers say nothing more about memory, and take half an hour here.
few='^TestSanitizerSees$|^TestConformance$/^(amx|avx512bf16|avx2)$|^TestPack|^TestQuantize$|^TestGEMMQSameBits$|^TestGEMMRowsAgree$|^TestGEMMDot$'
few="$few|^TestOrderOfSum$|^TestSoftmax$|^TestRMSNorm$|^TestSwiGLU$|^TestRound|^TestLogSumExp$|^TestCopy$|^TestScores$|^TestManyThreads$|^FuzzDoor$"
say "address and undefined behaviour"
CGO_CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=undefined -fno-sanitize-recover=all" CGO_LDFLAGS="-fsanitize=undefined" \
	UBSAN_OPTIONS="print_stacktrace=1" \
	go test -json -asan -tags native -timeout 20m -run "$few" ./engine/cpu | sum

# Addresses without randomness: this sanitizer maps its shadow at fixed ones. It must halt
# by itself, since the end of a Go program doesn't ask it whether anything was found.
say "threads"
CGO_CFLAGS="-O1 -g -fsanitize=thread" CGO_LDFLAGS="-fsanitize=thread" TSAN_OPTIONS="halt_on_error=1" \
	go test -json -tags native,tsan -timeout 20m -exec "setarch $(uname -m) -R" \
	-run '^TestManyThreads$|^TestSanitizerSees$|^TestCopy$|^TestScores$' ./engine/cpu | sum
