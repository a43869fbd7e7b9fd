#!/usr/bin/env bash
# Builds libtokenizers.a, the Rust library behind github.com/daulet/tokenizers,
# which the native flavour of Paceline links, and prints its folder as the last
# line of standard output:
#
#   CGO_ENABLED=1 CGO_LDFLAGS="-L$(build/tokenizers.sh)" go build -tags native ./...
#
# The library is built once per version, toolchain and machine kind into
# ${PACELINE_CACHE:-${XDG_CACHE_HOME:-~/.cache}/paceline}/tokenizers/<key>/.
# A second call prints the folder and does nothing else. Calls at once are safe.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/cache.sh"

# The library and the Go module must come from the same release: the module
# checks that when it is linked.
version=v1.27.0
# Upstream takes tiktoken-rs from a git repository. The published crate serves as
# well, needs no access to a git host, and is pinned by checksum in our lock file.
tiktoken=0.9.1
min_cargo=1.78.0 # the first that reads lock files of version 4
lock="$here/tokenizers-$version.Cargo.lock"

need go "install Go 1.26 or newer from https://go.dev/dl"
[ -f "$lock" ] || die "the lock file $lock is missing; restore it from version control"
wanted=$(sed -n 's#^.*github.com/daulet/tokenizers \(v[0-9][^ ]*\).*#\1#p' "$here/../go.mod" | head -n 1)
[ -z "$wanted" ] || [ "$wanted" = "$version" ] ||
	die "go.mod asks for github.com/daulet/tokenizers $wanted and this script builds $version; change both together"

need_cargo "$min_cargo"
key="$version-$(go env GOOS)-$(go env GOARCH)-$( (cat "$lock"; echo "$tiktoken"; cargo --version) | digest)"
root="$(cache_root)/tokenizers"
dest="$root/$key"
done_already() { [ -s "$dest/libtokenizers.a" ]; }

if done_already; then
	printf '%s\n' "$dest"
	exit 0
fi
mkdir -p "$dest" || die "cannot make the folder $dest; check its permissions, or set PACELINE_CACHE"
lock_folder "$dest"
if done_already; then
	printf '%s\n' "$dest"
	exit 0
fi

need cc "install a C compiler and linker (Debian: apt-get install gcc g++)"
need strip "install binutils (Debian: apt-get install binutils)"
new_scratch "$dest"
say "building libtokenizers.a $version (about two minutes of CPU time, once)"

source=$(module_dir "github.com/daulet/tokenizers@$version")
mkdir "$scratch/src"
cp -R "$source/crates" "$source/Cargo.toml" "$scratch/src/"
chmod -R u+w "$scratch/src" # the module cache is read-only
manifest="$scratch/src/crates/tokenizers/Cargo.toml"
sed "s#^tiktoken-rs = .*#tiktoken-rs = \"=$tiktoken\"#" "$source/crates/tokenizers/Cargo.toml" >"$manifest"
grep -q "^tiktoken-rs = \"=$tiktoken\"\$" "$manifest" ||
	die "no line for tiktoken-rs in crates/tokenizers/Cargo.toml of $version: upstream changed; adapt this script"
cp "$lock" "$scratch/src/Cargo.lock"
chmod u+w "$scratch/src/Cargo.lock"

(cd "$scratch/src" && cargo build --release --locked -p tokenizers-ffi --target-dir "$scratch/target" >&2) ||
	die "cargo could not build the library (its messages are above); check the network to the crate registry, then run this script again"

built="$scratch/target/release/libtokenizers_ffi.a"
[ -s "$built" ] || die "cargo ended well and left no $built: upstream changed its library's name; adapt this script"
case "$(go env GOOS)" in
darwin) strip -S -o "$scratch/libtokenizers.a" "$built" ;;
*) strip -g -o "$scratch/libtokenizers.a" "$built" ;;
esac || die "strip could not remove the debugging information from $built"
mv -f "$scratch/libtokenizers.a" "$dest/libtokenizers.a"
say "built $dest/libtokenizers.a"
printf '%s\n' "$dest"
