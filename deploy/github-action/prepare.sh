#!/usr/bin/env bash
# Checks the inputs and says where everything lies and what the run is: on the base
# branch it is part of the baseline, everywhere else it is a candidate.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$GITHUB_ACTION_PATH/lib.sh"

# The token first: whatever is printed from here on, it isn't among it.
case $INPUT_TOKEN in
*[[:space:]]*) die 2 "the token has blanks or line breaks in it: give the token alone" ;;
?*) printf '::add-mask::%s\n' "$INPUT_TOKEN" ;;
esac

[ -n "$INPUT_SUITE" ] || die 2 "name a suite, such as ci, or a suite file in the repository"
[ -n "$INPUT_NAME" ] || die 2 "name is empty: leave it out, or give each job of a matrix its own"
# shellcheck disable=SC2153 # an input, as all of these are
case $INPUT_BASELINE in
coordinator)
	[ -n "$INPUT_COORDINATOR" ] || die 2 "baseline: coordinator needs the coordinator's URL in the input coordinator"
	[ -n "$INPUT_TOKEN" ] || die 2 "baseline: coordinator needs a token, and there is none. GitHub gives no secrets to pull requests from forks: use baseline: cache for them"
	;;
"") die 2 "baseline is empty: write cache, coordinator, ab, or the path of a baseline file" ;;
*) [ -z "$INPUT_COORDINATOR" ] || die 2 "the coordinator is not asked with baseline: $INPUT_BASELINE; write baseline: coordinator, or leave coordinator out" ;;
esac
if [ "$INPUT_BASELINE" = ab ]; then
	if [ -z "$INPUT_BUILD" ] || [ -z "$INPUT_BASE_BUILD" ]; then
		die 2 "baseline: ab compares two builds: give both build and base-build"
	fi
else
	[ -z "$INPUT_BASE_BUILD" ] || die 2 "base-build goes with baseline: ab"
fi
[ -z "$INPUT_ACCEPT" ] || [ "$INPUT_BASELINE" = cache ] ||
	die 2 "accept goes with baseline: cache; elsewhere use the command paceline baseline accept"

base=${INPUT_BASE_REF:-${GITHUB_BASE_REF:-${DEFAULT_BRANCH:-main}}}
branch=${GITHUB_HEAD_REF:-$GITHUB_REF_NAME}
lane=candidate
case $GITHUB_EVENT_NAME in
pull_request*)
	# A fork's branch may have the base's name and is not the base for that.
	[ "$branch" != "$base" ] || branch=pull/$GITHUB_REF_NAME
	;;
*)
	if [ "$GITHUB_REF_TYPE" = branch ] && [ "$branch" = "$base" ]; then lane=base; fi
	;;
esac

# Nothing of an earlier use in the same job is taken for this one's.
mkdir -p "$RUNNER_TEMP"
work=$(mktemp -d "$RUNNER_TEMP/paceline-XXXXXX")
mkdir "$work/report"
output lane "$lane"
output base "$base"
output branch "$branch"
output data "$work/data"
output report "$work/report"

# The cache knows a file by its path too, so that must be the same in every job.
if [ "$INPUT_BASELINE" = cache ]; then
	id=$(printf '%s\n' "$GITHUB_REPOSITORY" "$INPUT_WORKING_DIRECTORY" "$INPUT_SUITE" "$base" "$INPUT_NAME" | digest)
	mkdir -p "$RUNNER_TEMP/paceline-baseline"
	rm -f "$RUNNER_TEMP/paceline-baseline/$id.json"
	output baseline-file "$RUNNER_TEMP/paceline-baseline/$id.json"
	output baseline-key "paceline-baseline-1-$PLATFORM-$id"
fi

if [ -n "$INPUT_PACELINE" ]; then
	id=$(printf '%s' "$INPUT_PACELINE" | digest)
	output build false
elif [ -n "$INPUT_REF" ]; then
	case $INPUT_REF in -* | *[[:space:]]*) die 2 "ref $INPUT_REF: write a branch, a tag or a commit id" ;; esac
	# A branch moves; a commit is known by its own name and listed nowhere.
	id=$( (printf '%s\n' "$INPUT_SOURCE" "$INPUT_REF" && git ls-remote -- "$INPUT_SOURCE" "$INPUT_REF") | digest) ||
		die 3 "$INPUT_SOURCE can't be asked for $INPUT_REF"
	output build true
else
	id=$(cd "$GITHUB_ACTION_PATH/../.." && find . -name .git -prune -o -path ./bin -prune -o -path ./dashboard/assets/dist -prune -o -type f -print0 |
		LC_ALL=C sort -z | xargs -0 cat | digest)
	output build true
fi
output bin "$RUNNER_TEMP/paceline-bin-$id"
output build-key "paceline-build-1-$PLATFORM-$id"
