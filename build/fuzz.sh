#!/usr/bin/env bash
# make fuzz: each fuzz target of the project for FUZZTIME (10s), one after another.
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD/build
. build/cache.sh
native_env
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# fuzz runs one target. Go's fuzzer sometimes takes the end of its own time for a failure:
# "context deadline exceeded", and no input that fails. Then it runs again. An input that
# hangs would end so every time.
fuzz() {
	local try
	for try in 1 2 3; do
		if go test -tags native -ldflags '-extldflags=-Wl,-z,lazy' -run '^$' -fuzz "^$1\$" -fuzztime "${FUZZTIME:-10s}" "$2" 2>&1 | tee "$log"; then
			return 0
		fi
		if grep -q 'Failing input written' "$log" || ! grep -q 'context deadline exceeded' "$log"; then
			return 1
		fi
		echo "fuzz: $1 ended by its time and not by an input (try $try of 3)"
	done
	return 1
}

n=0
while IFS=: read -r file name; do
	echo "fuzz: $name in $(dirname "$file")"
	fuzz "$name" "./$(dirname "$file")"
	n=$((n + 1))
done < <(git grep -oE "^func Fuzz[A-Za-z0-9_]+" -- "*_test.go" | sed "s/func //")
echo "fuzz: $n targets, nothing found"
