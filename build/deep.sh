#!/usr/bin/env bash
# make deep: one shard of the checks that are too long for every commit. The shard
# follows from the commit, so that a branch covers all of them as it goes; SHARD=n
# picks one by hand.
set -euo pipefail
cd "$(dirname "$0")/.."
shards=(fuzz gate example)
commit=$(git rev-parse HEAD)
n=${SHARD:-$((16#${commit:0:6} % ${#shards[@]}))}
shard=${shards[$n]}
echo "deep: shard $n of ${#shards[@]} (0…$((${#shards[@]} - 1))): $shard"
case $shard in
fuzz) FUZZTIME=${FUZZTIME:-4s} build/fuzz.sh ;;
gate) PACELINE_DEEP=1 go test -count=1 -run 'Simulation' -v ./judge/gate/... ;;
example) make test-ci-example ;;
esac
