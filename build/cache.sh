# shellcheck shell=bash
#
# Shared by the scripts in this folder, which source it: where built artifacts
# are cached, how two calls at once keep out of each other's way, and how to fail.
#
# Standard output belongs to the caller of a script, whose last line is the
# artifact's place: everything else these scripts say goes to standard error.

# say prints progress.
say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# die prints what went wrong and what to do next, and ends the script.
die() {
	printf '%s: error: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# need ends the script unless program $1 is installed; $2 says how to get it.
need() {
	command -v "$1" >/dev/null 2>&1 || die "the program '$1' is needed and was not found in PATH; $2"
}

# version_at_least reports whether dotted version $1 is $2 or newer.
version_at_least() {
	[ "$(printf '%s\n%s\n' "$2" "$1" | sort -t. -k1,1n -k2,2n -k3,3n | head -n 1)" = "$2" ]
}

# need_cargo ends the script unless cargo is at least version $1.
need_cargo() {
	need cargo "install Rust $1 or newer (https://rustup.rs, or a distribution's package that is new enough) and try again"
	local have
	have=$(cargo --version | sed -n 's/^cargo \([0-9]*\.[0-9]*\.[0-9]*\).*/\1/p')
	[ -n "$have" ] || die "'cargo --version' gave no version number; check the Rust installation with 'cargo --version'"
	version_at_least "$have" "$1" ||
		die "cargo $have is too old, $1 or newer is needed; run 'rustup update stable', or install a newer Rust, and try again"
}

# digest prints the first 12 hex digits of the SHA-256 of standard input.
digest() {
	if command -v sha256sum >/dev/null 2>&1; then sha256sum; else shasum -a 256; fi | cut -c 1-12
}

# cache_root prints the folder that holds every artifact, outside the checkout,
# so that all checkouts and branches of one machine share one build.
cache_root() {
	local root
	if [ -n "${PACELINE_CACHE:-}" ]; then
		root=$PACELINE_CACHE
	elif [ -n "${XDG_CACHE_HOME:-}" ]; then
		root=$XDG_CACHE_HOME/paceline
	elif [ -n "${HOME:-}" ]; then
		root=$HOME/.cache/paceline
	else
		die "neither PACELINE_CACHE, XDG_CACHE_HOME nor HOME is set; set PACELINE_CACHE to a folder for built artifacts"
	fi
	case "$root" in
	/*) printf '%s\n' "$root" ;;
	*) printf '%s\n' "$PWD/$root" ;; # the scripts change folders
	esac
}

# lock_folder waits until this script alone builds into folder $1 and keeps it so
# until the script ends. Where flock is missing (macOS) two calls at once both
# build: slower, and still right, because artifacts are put in place by rename.
lock_folder() {
	command -v flock >/dev/null 2>&1 || return 0
	exec 9>"$1/.lock"
	flock -n 9 && return 0
	say "another build of this is under way; waiting for it"
	flock 9
}

# module_dir downloads Go module $1 and prints the folder of its source.
module_dir() {
	local out dir
	# Outside any module: the caller's go.mod must neither matter nor change.
	out=$(cd "$scratch" && GOFLAGS='' GOWORK=off go mod download -json "$1" 2>&1) ||
		die "cannot download Go module $1; check the network and GOPROXY ($(go env GOPROXY)). go said: $out"
	dir=$(printf '%s\n' "$out" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",\{0,1\}$/\1/p')
	[ -d "$dir" ] || die "go mod download of $1 named no source folder; it said: $out"
	printf '%s\n' "$dir"
}

# new_scratch makes a folder below $1 for this build alone and sets scratch to
# it. It lies beside the artifact so that the final rename stays on one file
# system, and it is removed however the script ends.
new_scratch() {
	scratch=$(mktemp -d "$1/.build.XXXXXX") || die "cannot make a folder in $1; check its permissions and free space, or set PACELINE_CACHE"
	trap 'chmod -R u+w "$scratch" 2>/dev/null; rm -rf "$scratch"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# native_env sets what a native build needs, as the Makefile's NATIVE does: equal
# flags, so that both share Go's build cache.
native_env() {
	local lib
	lib=$("$here/tokenizers.sh" | tail -n 1)
	export CGO_ENABLED=1 CGO_CFLAGS="-O2 -g -Wno-deprecated-declarations" CGO_LDFLAGS="-L$lib"
}
