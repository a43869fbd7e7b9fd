#!/usr/bin/env bash
# make fuzz: each fuzz target of the project for FUZZTIME (10s), one after another.
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD/build
. build/cache.sh
native_env
n=0
while IFS=: read -r file name; do
	echo "fuzz: $name in $(dirname "$file")"
	go test -tags native -ldflags '-extldflags=-Wl,-z,lazy' -run '^$' -fuzz "^$name\$" -fuzztime "${FUZZTIME:-10s}" "./$(dirname "$file")"
	n=$((n + 1))
done < <(git grep -oE "^func Fuzz[A-Za-z0-9_]+" -- "*_test.go" | sed "s/func //")
echo "fuzz: $n targets, nothing found"
