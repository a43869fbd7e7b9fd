# Paceline's commands. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The native flavour links the tokenizer library, C kernels and NVML; it must start on
# machines without NVIDIA's libraries, hence the lazy binding.
NATIVE     = CGO_ENABLED=1 CGO_CFLAGS="-O2 -g -Wno-deprecated-declarations" CGO_LDFLAGS="-L$$(build/tokenizers.sh)"
LAZY       = -ldflags '-extldflags=-Wl,-z,lazy'
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
STAMP      = -ldflags '-X main.version=$(VERSION) -extldflags=-Wl,-z,lazy'
COUNTS    ?=
SUM        = go run ./build/testsum $(if $(COUNTS),-add $(COUNTS))

PEERS     ?=
DATA ?=
ONCE ?=
ARGS ?=

## The two that everybody needs

.PHONY: run
run: build ## measure the shipped model with suite "ci", judge it, show the dashboard (ONCE=1: end with the verdict's exit code; DATA=dir; ARGS="…")
	@code=0; ./bin/paceline up --suite ci $(if $(DATA),--data $(DATA)) $(if $(ONCE),--once) $(ARGS) || code=$$?; \
	if [ $$code -ne 0 ]; then echo "paceline ended with exit code $$code"; fi; exit $$code

.PHONY: test
test: tokenizers assets ## everything that needs no outside server
	@$(NATIVE) go test -json -tags native $(LAZY) ./... | $(SUM)

## Building

.PHONY: build
build: doctor tokenizers assets ## bin/paceline, native: with the engine
	@$(NATIVE) go build -tags native $(STAMP) -o bin/paceline ./cmd/paceline

.PHONY: build-plain
build-plain: assets ## bin/paceline-plain: static, without the engine, needs Go only
	@CGO_ENABLED=0 go build -ldflags '-X main.version=$(VERSION)' -o bin/paceline-plain ./cmd/paceline

.PHONY: tokenizers
tokenizers: ## the native tokenizer library, cached outside the checkout
	@build/tokenizers.sh >/dev/null

.PHONY: assets
assets: ## ECharts for the pages, from npm, digest checked
	@build/assets.sh

.PHONY: influxd
influxd: ## an InfluxDB server for test-real, cached outside the checkout (minutes of CPU, once)
	@build/influxd.sh

.PHONY: peers
peers: ## llama.cpp, candle and transformers for bench-engine, cached outside the checkout (an hour of CPU, once; PEERS="…")
	@build/peers.sh $(PEERS)

.PHONY: doctor
doctor: ## check the versions of what the build needs (paceline doctor looks at a machine that measures)
	@build/doctor.sh

.PHONY: setup
setup: ## install with apt what apt has in a new enough version
	@build/doctor.sh --install

## Checking

.PHONY: check
check: tokenizers assets ## formatting, vet, staticcheck, structure, both flavours, generated files
	@build/check.sh

.PHONY: test-real
test-real: tokenizers assets ## what needs real servers and clients: influxd, Chromium, OpenAI's Python and JavaScript clients, AIPerf (1.2 GB, once)
	@PACELINE_INFLUXD="$$(build/influxd.sh | tail -n 1)" $(NATIVE) \
	go test -json -tags native,real $(LAZY) -run 'Real' ./coordinator/... ./dashboard/... ./cmd/... ./engine/serve | $(SUM) -max-skips 0

.PHONY: test-ci-example
test-ci-example: tokenizers assets ## the example repository through all its commits, as CI does, without and with a coordinator (minutes)
	@SHARD=2 COUNTS=$(COUNTS) build/deep.sh

.PHONY: race
race: tokenizers ## the concurrent packages under the race detector
	@$(NATIVE) go test -json -race -tags native $(LAZY) ./agent/... ./internal/bus/... ./internal/proc/... ./coordinator/... \
	./bench/load/... ./bench/harness/... ./bench/target/openai/... ./bench/target/server/... ./client/... ./engine ./engine/cuda/driver ./engine/model/hub ./engine/sched/... ./engine/serve ./engine/cpu/... ./worker/... | $(SUM)

.PHONY: test-arm64
test-arm64: ## the CPU backend on aarch64, by cross compiler and emulator
	@COUNTS=$(COUNTS) build/arm64.sh

.PHONY: sanitize
sanitize: ## the C code under the address, undefined-behaviour and thread sanitizers
	@COUNTS=$(COUNTS) build/sanitize.sh

.PHONY: soak
soak: tokenizers ## engines opened, used at random and closed SOAK (300) times, and all they took given back
	@PACELINE_SOAK_CYCLES=$(or $(SOAK),300) $(NATIVE) go test -json -count=1 -tags native $(LAZY) -timeout 20m -run 'Soak' ./engine | $(SUM)

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10s) each
	@build/fuzz.sh

.PHONY: bench
bench: tokenizers ## Go benchmarks; they print, nothing asserts
	@$(NATIVE) go test -tags native $(LAZY) -run '^$$' -bench . ./engine/... ./bench/...

.PHONY: bench-engine
bench-engine: tokenizers ## our engine against its peers on this machine, row by row with its aims (half an hour; ARGS="-quick", "-list", "-h")
	@$(NATIVE) go build -tags native $(LAZY) -o bin/benchengine ./build/benchengine
	@bin/benchengine $(ARGS)

.PHONY: bench-client
bench-client: ## our load generator against a server that logs what it did, and against a plain client (6 minutes; ARGS="-quick", "-h")
	@CGO_ENABLED=0 go build -o bin/benchclient ./build/benchclient
	@bin/benchclient $(ARGS)

.PHONY: ptx
ptx: ## the PTX of the CUDA kernels that the program carries, after a change of engine/cuda/kernels
	@PACELINE_CUDA_HOME="$$(build/cudatools.sh | tail -n 1)" CGO_ENABLED=0 go run ./build/kernels -ptx

.PHONY: kernels
kernels: ## cubins of the CUDA kernels in the cache of this machine (ARGS="-out DIR", "-arch sm_90a"; -embed: for the next build to carry)
	@PACELINE_CUDA_HOME="$$(build/cudatools.sh | tail -n 1)" CGO_ENABLED=0 go run ./build/kernels -cubins $(ARGS)

.PHONY: kernelcheck
kernelcheck: ## the CUDA kernels for every architecture against their budget (2 minutes; ARGS="-update")
	@PACELINE_CUDA_HOME="$$(build/cudatools.sh | tail -n 1)" CGO_ENABLED=0 go run ./build/kernelcheck $(ARGS)

.PHONY: gpu-bundle
gpu-bundle: ## gpu-check and what it needs, for a machine with a GPU and a driver and neither Go nor a network: bin/gpu-bundle.tar.gz
	@build/gpubundle.sh

.PHONY: gpu-check
gpu-check: gpu-bundle ## on a machine with a GPU: load the kernels, run the CUDA tests on the driver, measure (ARGS="-device 1")
	@rm -rf bin/gpu-bundle && mkdir -p bin/gpu-bundle && tar -xzf bin/gpu-bundle.tar.gz -C bin/gpu-bundle && bin/gpu-bundle/run.sh $(ARGS)

.PHONY: deep
deep: tokenizers ## one shard of the long checks, chosen by commit (SHARD=n picks one)
	@COUNTS=$(COUNTS) build/deep.sh

## Else

.PHONY: clean
clean: ## remove what was built here; the caches outside stay
	rm -rf bin

.PHONY: help
help: ## this list
	@awk -F ':.*?## ' '/^## /{printf "\n%s\n", substr($$0,4)} /^[a-z0-9-]+:.*## /{split($$1,a,":"); printf "  make %-15s %s\n", a[1], $$2}' $(MAKEFILE_LIST)
