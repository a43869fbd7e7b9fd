# shellcheck shell=bash
#
# Sourced by the scripts beside it: how they speak to the job that runs them.

# annotate LEVEL TEXT writes an annotation (error, warning or notice). The text may hold
# anything; % and line ends are escaped, so that it stays one command.
annotate() {
	local text=$2
	text=${text//'%'/%25}
	text=${text//$'\r'/%0D}
	text=${text//$'\n'/%0A}
	printf '::%s title=paceline::%s\n' "$1" "$text"
}

# die CODE TEXT ends the step as Paceline ends: 2 for a bad request, 3 for a machine
# that failed. 1 is for slower builds only.
die() {
	annotate error "$2"
	exit "$1"
}

# output NAME VALUE sets an output of the step.
output() {
	case $2 in
	*$'\n'* | *$'\r'*) die 2 "$1 must be one line" ;;
	esac
	printf '%s=%s\n' "$1" "$2" >>"$GITHUB_OUTPUT"
}

# digest prints the first 16 hex digits of the SHA-256 of standard input.
digest() {
	if command -v sha256sum >/dev/null 2>&1; then sha256sum; else shasum -a 256; fi | cut -c 1-16
}
