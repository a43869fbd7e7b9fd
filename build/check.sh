#!/usr/bin/env bash
# make check: formatting, vet, staticcheck, the structure tests, both flavours of
# the build, shell scripts and generated files. Every step runs; the end names
# those that failed.
set -uo pipefail
cd "$(dirname "$0")/.."
here=$PWD/build
. build/cache.sh

# Versions of the tools, run as modules of their own so that they stay out of ours.
gofumpt=mvdan.cc/gofumpt@v0.9.2
staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2
actionlint=github.com/rhysd/actionlint/cmd/actionlint@v1.7.7

native_env
failed=()
step() {
	local name=$1 start=$SECONDS
	shift
	if "$@"; then
		printf 'check: %-22s ok      %3d s\n' "$name" $((SECONDS - start))
	else
		printf 'check: %-22s FAILED  %3d s\n' "$name" $((SECONDS - start))
		failed+=("$name")
	fi
}

formatted() {
	local out
	out=$(git ls-files '*.go' | xargs -r go run "$gofumpt" -l) || return 1
	[ -z "$out" ] || { printf 'not formatted (go run %s -w FILE):\n%s\n' "$gofumpt" "$out"; return 1; }
}
tidy() { go mod tidy -diff >/dev/null || { echo "go.mod or go.sum is not tidy: run 'go mod tidy'"; return 1; }; }
generated() { go test -count=1 -run 'Schema|Generated|OpenAPI|Golden' ./bench/result/... ./coordinator/api/... ./suites/... >/dev/null || { echo "a generated file is stale: run the test of its package with -update"; return 1; }; }
shells() {
	local f scripts
	mapfile -t scripts < <(git ls-files '*.sh' .ci/run)
	for f in "${scripts[@]}"; do bash -n "$f" || return 1; done
	command -v shellcheck >/dev/null 2>&1 || { echo "shellcheck is not installed: bash alone has read the scripts"; return 0; }
	# Variables that cache.sh sets for those who source it; cd under the caller's eyes.
	shellcheck -x -S warning -e SC2154,SC2164 "${scripts[@]}"
}
workflows() ( # in a repository of their own, where the action's inputs are checked too
	dir=$(mktemp -d) || exit 1
	trap 'rm -rf "$dir"' EXIT
	mkdir -p "$dir/.git" "$dir/.github/workflows" "$dir/deploy"
	cp -R deploy/github-action "$dir/deploy" || exit 1
	n=0
	for f in deploy/github-action/workflow.yml $(git ls-files 'examples/*.github/workflows/*.yml'); do
		n=$((n + 1))
		sed 's|paceline/paceline/deploy/github-action@[a-z0-9.]*|./deploy/github-action|' "$f" >"$dir/.github/workflows/$n-$(basename "$f")"
	done
	cd "$dir" || exit 1 # it finds the action by the folder that it runs in
	GOFLAGS='' go run "$actionlint" .github/workflows/*.yml
)
paths() { # a machine's own paths have no place in the project
	! git grep -nE '/(home|Users)/[a-z]+/' -- . ':!build/check.sh' ':!*.lock' ':!go.sum'
}

step "gofumpt" formatted
step "go.mod tidy" tidy
step "vet plain" env CGO_ENABLED=0 go vet ./...
step "vet native" env CGO_ENABLED=1 go vet -tags native,real ./...
step "staticcheck" env CGO_ENABLED=1 go run "$staticcheck" -tags native,real ./...
step "structure" go test -count=1 ./internal/archtest
step "build plain" env CGO_ENABLED=0 go build ./...
step "build native" env CGO_ENABLED=1 go build -tags native -ldflags '-extldflags=-Wl,-z,lazy' -o /dev/null ./cmd/paceline
step "generated files" generated
step "shell scripts" shells
step "workflows" workflows
step "no private paths" paths

if [ ${#failed[@]} -gt 0 ]; then
	echo "check: failed: ${failed[*]}" >&2
	exit 1
fi
