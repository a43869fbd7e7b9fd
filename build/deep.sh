#!/usr/bin/env bash
# make deep: one shard of the checks that are too long for every commit. The shard
# follows from the commit, so that a branch covers all of them as it goes; SHARD=n
# picks one by hand.
set -euo pipefail
cd "$(dirname "$0")/.."

# example drives the example repository. Where the machine was too disturbed to decide,
# however often jobs were repeated, that is a skip with its reason, and no failure:
# the verdicts were right to say so.
example() {
	make build
	go build -o bin/drive ./examples/ci/drive
	local code=0 outcome='pass examples/ci drive'
	bin/drive -paceline bin/paceline || code=$?
	case $code in
	0) ;;
	3) outcome='skip examples/ci drive: the machine was not quiet, however often jobs were repeated (evidence above)' ;;
	*) outcome='fail examples/ci drive' ;;
	esac
	go run ./build/testsum -note "$outcome" ${COUNTS:+-add "$COUNTS"}
}

# long fills a context of 32,768 positions by every kernel set of this machine, and holds
# the oracle against transformers on a long prompt.
long() {
	local here=$PWD/build
	. build/cache.sh
	native_env
	PACELINE_DEEP=1 go test -count=1 -tags native -ldflags '-extldflags=-Wl,-z,lazy' -run 'TestLongContext|TestShapes' -v ./engine/...
}

# cuda holds the kernels of every architecture against their budget, and runs what is too long for each
# commit on the emulator: checked code, the sizes of Qwen2.5-0.5B, each format through the suite of all backends.
cuda() {
	local here=$PWD/build
	. build/cache.sh
	PACELINE_CUDA_HOME="$(build/cudatools.sh | tail -n 1)"
	export PACELINE_CUDA_HOME
	native_env
	CGO_ENABLED=0 go run ./build/kernelcheck
	PACELINE_DEEP=1 go test -count=1 -tags native -ldflags '-extldflags=-Wl,-z,lazy' -json -timeout 30m -skip 'TestShapes' ./engine/cuda/... |
		go run ./build/testsum ${COUNTS:+-add "$COUNTS"}
}

shards=(fuzz gate example long arm64 sanitize cuda)
commit=$(git rev-parse HEAD)
n=${SHARD:-$((16#${commit:0:6} % ${#shards[@]}))}
shard=${shards[$n]}
echo "deep: shard $n of ${#shards[@]} (0…$((${#shards[@]} - 1))): $shard"
case $shard in
fuzz) FUZZTIME=${FUZZTIME:-4s} build/fuzz.sh ;;
gate) PACELINE_DEEP=1 go test -count=1 -run 'Simulation' -v ./judge/gate/... ./engine/sched ;;
example) example ;;
long) long && make soak COUNTS="${COUNTS:-}" ;;
arm64) make test-arm64 COUNTS="${COUNTS:-}" ;;
sanitize) make sanitize COUNTS="${COUNTS:-}" ;;
cuda) cuda ;;
esac
