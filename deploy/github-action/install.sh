#!/usr/bin/env bash
# Finds the paceline to measure with, or builds it, and puts it on the job's PATH.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$GITHUB_ACTION_PATH/lib.sh"

# fetch clones one revision into folder $1.
fetch() {
	git init --quiet "$1"
	git -C "$1" fetch --quiet --depth 1 -- "$INPUT_SOURCE" "$INPUT_REF" ||
		die 3 "$INPUT_REF can't be fetched from $INPUT_SOURCE: is it a branch, a tag or a whole commit id there?"
	git -C "$1" checkout --quiet FETCH_HEAD
}

if [ -n "$INPUT_PACELINE" ]; then
	if [ ! -f "$INPUT_PACELINE" ] || [ ! -x "$INPUT_PACELINE" ]; then
		die 2 "there is no program at $INPUT_PACELINE (input paceline)"
	fi
	folder=$(cd "$(dirname -- "$INPUT_PACELINE")" && pwd)
	mkdir -p "$BIN"
	ln -sf "$folder/$(basename -- "$INPUT_PACELINE")" "$BIN/paceline"
elif [ ! -x "$BIN/paceline" ]; then
	source=$GITHUB_ACTION_PATH/../..
	if [ -n "$INPUT_REF" ]; then
		source=$(mktemp -d "$RUNNER_TEMP/paceline-source-XXXXXX")
		fetch "$source"
	fi
	echo "::group::Build paceline"
	make -C "$source" build || die 3 "paceline could not be built: see what the step says above"
	echo "::endgroup::"
	mkdir -p "$BIN"
	cp "$source/bin/paceline" "$BIN/paceline"
fi
"$BIN/paceline" version || die 3 "the program $BIN/paceline doesn't start"
printf '%s\n' "$BIN" >>"$GITHUB_PATH"
output paceline "$BIN/paceline"
