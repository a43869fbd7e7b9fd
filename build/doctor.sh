#!/usr/bin/env bash
# Checks that what the build needs is there in a new enough version, and prints for
# each that isn't the command that mends it. With --install, installs with apt
# what apt has in a new enough version. Exits 1 where something is missing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/cache.sh"

missing=0
apt_packages=()

# check NAME HAVE WANT MEND APT: APT is the Debian package that has it new enough,
# or empty.
check() {
	local name=$1 have=$2 want=$3 mend=$4 apt=$5
	if [ -n "$have" ] && version_at_least "$have" "$want"; then
		[ -n "${QUIET:-}" ] || printf '  ok       %-6s %s\n' "$name" "$have"
		return
	fi
	missing=1
	printf '  MISSING  %-6s %s, %s or newer is needed: %s\n' "$name" "${have:-not found}" "$want" "$mend" >&2
	[ -z "$apt" ] || apt_packages+=("$apt")
}

# first prints the first dotted number of a command's output, empty without it.
first() { "$@" 2>/dev/null | grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1 || true; }

QUIET=1
[ "${1:-}" = "" ] && [ -z "${MAKELEVEL:-}" ] && QUIET=
run_checks() {
	missing=0 apt_packages=()
	check go "$(first go version)" 1.21 "install it from https://go.dev/dl (it fetches the toolchain that go.mod names)" ""
	check gcc "$(first gcc -dumpfullversion)" 10.0 "sudo apt-get install gcc" gcc
	check g++ "$(first g++ -dumpfullversion)" 10.0 "sudo apt-get install g++" g++
	check make "$(first make --version)" 4.0 "sudo apt-get install make" make
	check cargo "$(first cargo --version)" 1.78 "install Rust from https://rustup.rs, or run: rustup update stable" ""
	check node "$(first node --version)" 18.0 "install it from https://nodejs.org, or: sudo apt-get install nodejs npm" nodejs
	check npm "$(first npm --version)" 8.0 "sudo apt-get install npm" npm
	check git "$(first git --version)" 2.0 "sudo apt-get install git" git
}

if [ "${1:-}" = --install ]; then
	run_checks 2>/dev/null || true
	if [ ${#apt_packages[@]} -gt 0 ]; then
		need apt-get "this is no Debian or Ubuntu: install ${apt_packages[*]} with your own package manager"
		sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
		$sudo apt-get update -qq
		$sudo apt-get install -y --no-install-recommends "${apt_packages[@]}"
	fi
	QUIET=
fi
run_checks
if [ $missing -ne 0 ]; then
	echo "doctor: something is missing; 'make setup' installs what apt has in a new enough version" >&2
	exit 1
fi
