#!/usr/bin/env bash
# Measures, and on the base branch writes the baseline that later jobs compare with.
# Paceline itself writes the job's summary, annotations and outputs. The step ends with
# 0 whatever the verdict, so that the steps after it run; verdict.sh ends the job.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$GITHUB_ACTION_PATH/lib.sh"

args=(run)
operands=("$INPUT_SUITE")
# flag NAME VALUE adds a flag that has a value.
flag() { [ -z "$2" ] || args+=("--$1=$2"); }
flag model "$INPUT_MODEL"
flag launch "$INPUT_LAUNCH"
flag url "$INPUT_URL"
flag target "$INPUT_TARGET"
flag inconclusive "$INPUT_INCONCLUSIVE"
case $INPUT_REQUIRE_BASELINE in
true) args+=(--require-baseline) ;;
false | "") ;;
*) die 2 "require-baseline: $INPUT_REQUIRE_BASELINE: write true or false" ;;
esac
if [ "$INPUT_BASELINE" != ab ]; then
	flag build "$INPUT_BUILD"
	flag branch "$BRANCH"
	[ "$LANE" = base ] || flag base-ref "$BASE"
fi

case $INPUT_BASELINE in
coordinator) flag coordinator "$INPUT_COORDINATOR" ;;
ab)
	flag data "$DATA"
	args+=(--ab)
	operands+=("$INPUT_BASE_BUILD" "$INPUT_BUILD")
	;;
cache)
	flag data "$DATA"
	if [ "$LANE" = base ]; then
		# A baseline that can't be read must not stop the branch for good: it starts anew.
		if [ -f "$BASELINE_FILE" ] && ! "$PACELINE" baseline import "$BASELINE_FILE" --data="$DATA"; then
			annotate warning "the cached baseline can't be used, as the log says; this run begins a new one"
			rm -rf "$DATA"
		fi
	elif [ -f "$BASELINE_FILE" ]; then
		# With its rounds comes what the machine was like: without that history a disturbed
		# machine would pass for a slower build. Where it can't be read, the run says so.
		"$PACELINE" baseline import "$BASELINE_FILE" --data="$DATA" || true
		flag baseline "$BASELINE_FILE"
	else
		# Nothing to compare with, so that the clone needs no history.
		args+=(--git=no "--commit=$GITHUB_SHA")
	fi
	;;
*)
	flag data "$DATA"
	"$PACELINE" baseline import "$INPUT_BASELINE" --data="$DATA" || true # as above
	flag baseline "$INPUT_BASELINE"
	;;
esac

flag report "$REPORT/report.html"
flag out "$REPORT/result.json"
flag output "junit=$REPORT/junit.xml"
flag output "markdown=$REPORT/comment.md"
while IFS= read -r line; do
	line=${line%$'\r'}
	[ -z "$line" ] || args+=("$line")
done <<<"$INPUT_ARGS"

# The job's end reaches this script alone; paceline cancels the run and says so. A shell
# without job control starts it with interrupts ignored, which paceline undoes.
"$PACELINE" "${args[@]}" -- "${operands[@]}" &
pid=$!
interrupted=
trap 'interrupted=1; kill -INT "$pid" 2>/dev/null || true' INT TERM
code=0
wait "$pid" || code=$?
while [ -n "$interrupted" ]; do # it was the wait that ended, not the run
	interrupted=
	code=0
	wait "$pid" || code=$?
done
trap - INT TERM
if [ "$code" -gt 5 ]; then
	annotate error "paceline ended with code $code, which is none of its own: it was killed, or it crashed"
	code=3
fi

if [ "$LANE" = base ] && [ "$INPUT_BASELINE" = cache ]; then
	if [ "$code" = 1 ] && [ -n "$INPUT_ACCEPT" ]; then
		"$PACELINE" baseline accept --branch="$BRANCH" --reason="$INPUT_ACCEPT" --data="$DATA"
	fi
	if [ "$code" = 0 ] || { [ "$code" = 1 ] && [ -n "$INPUT_ACCEPT" ]; }; then
		if "$PACELINE" baseline export "$BASELINE_FILE" --branch="$BRANCH" --data="$DATA"; then
			output exported true
		else
			annotate warning "the baseline can't be exported, as the log says; the cached one stays"
		fi
	fi
fi
output exit-code "$code"
