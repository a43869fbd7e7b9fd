#!/usr/bin/env bash
# make peers: builds the programs that `make bench-engine` compares our engine with,
# each pinned by version, from public packages.
#
#   build/peers.sh [PEER…]          build those (default: all) and list where they are
#   build/peers.sh --where [PEER…]  only list those that are built
#   build/peers.sh --gguf MODEL     convert a model folder for llama.cpp, list the files
#
# PEER is llama.cpp (PyPI's sdist of llama-cpp-python), candle (crates) or transformers
# (PyPI's wheels of torch and transformers). Standard output is one line a peer or file:
# name, version, path, separated by tabs.
#
# Everything lies in ${PACELINE_CACHE:-${XDG_CACHE_HOME:-~/.cache}/paceline}/peers by
# version and platform. A second call does nothing else than list. An interrupted build
# goes on where it was. PEERS_JOBS is how many compilers run at once (default: one a core).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/cache.sh"

all="llama.cpp candle transformers"
llama_version=0.3.36 # of llama-cpp-python, which carries llama.cpp 0c1e57098
llama_sha256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
llama_tools="llama-bench llama-batched-bench llama-server llama-quantize"
llama_flags="-DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=ON -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF
-DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF"
# GCC 12's intrinsics don't say that LDTILECFG reads all 64 bytes, so the compiler leaves the
# rest of the configuration out and the program is killed on processors with AMX. A barrier
# makes it keep them; nothing else is changed.
llama_fix='s|^    _tile_loadconfig(&tc);|    __asm__ volatile("" : : "r"(\&tc) : "memory");\n&|'
candle_version=0.11.1
transformers_version=5.23.0
min_cargo=1.86.0
min_cmake=3.14

# platform names a machine that can run the same native code: system, architecture and
# what the CPU can do.
platform() {
	local cpu
	cpu=$(grep -m 1 -E '^(flags|Features)' /proc/cpuinfo 2>/dev/null || sysctl -n machdep.cpu.brand_string 2>/dev/null || echo unknown)
	printf '%s-%s-%s' "$(uname -s | tr '[:upper:]' '[:lower:]')" "$(uname -m)" "$(printf '%s' "$cpu" | digest)"
}

# key is version and platform of peer $1, and a digest of what it is built from.
key() {
	case "$1" in
	llama.cpp) printf '%s-%s-%s' "$llama_version" "$(platform)" "$( (echo "$llama_flags $llama_tools $llama_fix"; cat "$here/peers/requirements-gguf.txt"; cc --version 2>/dev/null | head -n 1) | digest)" ;;
	candle) printf '%s-%s-%s' "$candle_version" "$(platform)" "$( (cat "$here"/peers/candle/Cargo.* "$here"/peers/candle/src/*.rs; cargo --version 2>/dev/null) | digest)" ;;
	transformers) printf '%s-%s-%s' "$transformers_version" "$(platform)" "$( (cat "$here/peers/requirements.txt"; python3 --version 2>/dev/null) | digest)" ;;
	*) die "no peer is called '$1'; there are: $all" ;;
	esac
}

# folder is where peer $1 lies; built reports whether it is whole.
folder() { printf '%s/peers/%s/%s' "$(cache_root)" "$1" "$(key "$1")"; }
built() { [ -f "$(folder "$1")/complete" ]; }
list() {
	case "$1" in
	llama.cpp) printf '%s\t%s\t%s\n' "$1" "llama-cpp-python $llama_version" "$(folder "$1")/bin" ;;
	candle) printf '%s\t%s\t%s\n' "$1" "$candle_version" "$(folder "$1")/bin/candle-peer" ;;
	transformers) printf '%s\t%s\t%s\n' "$1" "$transformers_version" "$(folder "$1")/venv/bin/python" ;;
	esac
}

need_python() {
	need python3 "install Python 3.10 or newer (Debian: apt-get install python3 python3-venv)"
	python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
		die "python3 is older than 3.10 or cannot make virtual environments (Debian: apt-get install python3-venv)"
}

# venv makes folder $1 a virtual environment with the packages that file $2 names. pip
# checks each package against the digest that its index gives.
venv() {
	[ -x "$1/bin/pip" ] || python3 -m venv "$1" || die "cannot make the virtual environment $1"
	"$1/bin/pip" install --quiet --disable-pip-version-check -r "$2" >&2 ||
		die "pip cannot install what $2 names (its messages are above); check the network and pip's configuration, then run this again"
}

build_llama() {
	need cmake "Debian: apt-get install cmake"
	version_at_least "$(cmake --version | sed -n '1s/^cmake version \([0-9.]*\).*/\1/p')" "$min_cmake" || die "cmake is older than $min_cmake; install a newer one"
	need make "Debian: apt-get install make"
	need g++ "Debian: apt-get install g++"
	need_python
	local work=$1/work archive
	mkdir -p "$work"
	venv "$1/venv" "$here/peers/requirements-gguf.txt"
	archive="$work/llama_cpp_python-$llama_version.tar.gz"
	if [ ! -d "$work/src" ]; then
		if [ ! -f "$archive" ]; then
			say "llama.cpp: downloading the source distribution of llama-cpp-python $llama_version (77 MB)"
			# pip asks a source distribution for its metadata, by a small build.
			"$1/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary :all: -d "$work/download" "llama-cpp-python==$llama_version" >&2 ||
				die "pip cannot download llama-cpp-python $llama_version (its messages are above); check the network and pip's configuration"
			mv "$work/download/llama_cpp_python-$llama_version.tar.gz" "$archive" || die "pip downloaded something else than $(basename "$archive") into $work/download"
		fi
		local got
		got=$( (sha256sum "$archive" 2>/dev/null || shasum -a 256 "$archive") | cut -d ' ' -f 1)
		[ "$got" = "$llama_sha256" ] || die "$archive has the SHA-256 $got, $llama_sha256 is expected; remove it and run this again"
		rm -rf "$work/unpack"
		mkdir "$work/unpack"
		tar -xzf "$archive" -C "$work/unpack"
		# Its files carry times that keep make from ever being done.
		find "$work/unpack" -exec touch {} +
		mv "$work/unpack/llama_cpp_python-$llama_version/vendor/llama.cpp" "$work/src"
		sed -i.unfixed "$llama_fix" "$work/src/ggml/src/ggml-cpu/amx/mmq.cpp" || die "cannot mend $work/src/ggml/src/ggml-cpu/amx/mmq.cpp"
		rm -rf "$work/unpack"
	fi
	say "llama.cpp: configuring"
	# shellcheck disable=SC2086 # the flags are words
	cmake -S "$work/src" -B "$work/build" -G 'Unix Makefiles' $llama_flags >"$work/cmake.log" 2>&1 ||
		die "cmake cannot configure llama.cpp; its messages are in $work/cmake.log"
	say "llama.cpp: compiling ($jobs at once, about 20 minutes of CPU time; messages in $work/make.log)"
	# shellcheck disable=SC2086 # the tools are words
	cmake --build "$work/build" --target $llama_tools -j "$jobs" >"$work/make.log" 2>&1 ||
		die "llama.cpp does not compile; the messages are in $work/make.log. Run this again to go on"
	mkdir -p "$1/bin"
	local tool
	for tool in $llama_tools; do cp "$work/build/bin/$tool" "$1/bin/"; done
	"$1/bin/llama-bench" --help >/dev/null || die "the llama-bench just built does not run"
	rm -rf "$work"
}

build_candle() {
	need_cargo "$min_cargo"
	need cc "install a C compiler and linker (Debian: apt-get install gcc)"
	say "candle: compiling ($jobs at once, about 25 minutes of CPU time)"
	RUSTFLAGS="${RUSTFLAGS:-} -C target-cpu=native" cargo build --release --locked -j "$jobs" \
		--manifest-path "$here/peers/candle/Cargo.toml" --target-dir "$1/target" >&2 ||
		die "candle does not compile (cargo's messages are above); check the network, then run this again to go on"
	mkdir -p "$1/bin"
	cp "$1/target/release/candle-peer" "$1/bin/"
	rm -rf "$1/target"
}

build_transformers() {
	need_python
	say "transformers: installing torch and transformers (on Linux with CUDA's libraries, some GB; they are not used)"
	venv "$1/venv" "$here/peers/requirements.txt"
	"$1/venv/bin/python" -c 'import torch, transformers' || die "the packages just installed do not import; the message is above"
}

# build makes peer $1, alone at a time, and remembers how long it took.
build() (
	dest=$(folder "$1")
	mkdir -p "$dest" || die "cannot make the folder $dest; check its permissions, or set PACELINE_CACHE"
	lock_folder "$dest"
	[ ! -f "$dest/complete" ] || exit 0
	start=$SECONDS
	"build_${1%.cpp}" "$dest"
	took=$((SECONDS - start))
	echo "$took" >"$dest/complete"
	say "$1: built in $((took / 60)) min $((took % 60)) s: $dest"
)

# gguf converts model folder $1 to the formats of llama.cpp, once per model.
gguf() {
	[ -f "$1/config.json" ] || die "$1 is no model folder: it has no config.json"
	built llama.cpp || die "llama.cpp is not built; run 'make peers PEERS=llama.cpp'"
	local llama dest type
	llama=$(folder llama.cpp)
	dest="$(cache_root)/peers/gguf/$(cat "$here/peers/gguf_write.py" "$1"/config.json "$1"/tokenizer*.json "$1"/*.safetensors | digest)-$llama_version"
	mkdir -p "$dest"
	lock_folder "$dest"
	if [ ! -f "$dest/bf16.gguf" ]; then
		say "writing $dest/bf16.gguf"
		"$llama/venv/bin/python" "$here/peers/gguf_write.py" "$1" "$dest/bf16.gguf.part" >&2 || die "cannot convert $1; the message is above"
		mv "$dest/bf16.gguf.part" "$dest/bf16.gguf"
	fi
	for type in q8_0 q4_0; do
		if [ ! -f "$dest/$type.gguf" ]; then
			say "writing $dest/$type.gguf"
			"$llama/bin/llama-quantize" "$dest/bf16.gguf" "$dest/$type.gguf.part" "$type" >"$dest/$type.log" 2>&1 ||
				die "llama-quantize cannot make $type of $dest/bf16.gguf; its messages are in $dest/$type.log"
			mv "$dest/$type.gguf.part" "$dest/$type.gguf"
		fi
	done
	for type in bf16 q8_0 q4_0; do printf '%s\t%s\t%s\n' "$type" "llama-cpp-python $llama_version" "$dest/$type.gguf"; done
}

jobs=${PEERS_JOBS:-$(getconf _NPROCESSORS_ONLN)}
case "$jobs" in '' | *[!0-9]* | 0) die "PEERS_JOBS is '$jobs'; give how many compilers may run at once, 1 or more" ;; esac
case "${1:-}" in
--gguf)
	[ $# = 2 ] || die "usage: ${0##*/} --gguf MODEL_FOLDER"
	gguf "$2"
	exit 0
	;;
--where)
	shift
	# shellcheck disable=SC2086 # the names are words
	[ $# -gt 0 ] || set -- $all
	for peer in "$@"; do
		key "$peer" >/dev/null
		! built "$peer" || list "$peer"
	done
	exit 0
	;;
-*) die "unknown option $1; there are --where and --gguf" ;;
esac
# shellcheck disable=SC2086 # the names are words
[ $# -gt 0 ] || set -- $all
for peer in "$@"; do key "$peer" >/dev/null; done # misspelt names before hours of work
for peer in "$@"; do
	built "$peer" || build "$peer"
	list "$peer"
done
