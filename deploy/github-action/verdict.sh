#!/usr/bin/env bash
# Ends the job with the verdict's exit code.
set -euo pipefail
case $CODE in
[0-5]) exit "$CODE" ;;
*)
	echo "there is no verdict: the step that measures did not end" >&2
	exit 3
	;;
esac
