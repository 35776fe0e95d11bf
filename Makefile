# Everything here also works by hand: the targets only say the commands. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# Debian keeps bpftool where a user's PATH does not look.
export PATH := $(PATH):/usr/sbin:/sbin
TARGET := $(or $(CARGO_TARGET_DIR),target)
# To be given by .ci/run: --locked
CARGOFLAGS ?=

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: run
run: ## build the core, publish this machine's kernel to ./btfleet-store, show its vmlinux.h
	@hack/run.sh

.PHONY: test
test: test-it test-libbpf e2e ## every test (it installs the compilers and builds the servers they need)

.PHONY: test-it
test-it: ## every test but those of libbpf and of the real cluster
	@hack/need.sh test
	cargo test --no-fail-fast $(CARGOFLAGS)

.PHONY: e2e
e2e: ## the end-to-end test alone: a cluster of two real nodes, installed, used, upgraded, uninstalled (as root)
	@tests/e2e/run.sh

.PHONY: screenshots
screenshots: ## the pictures of the pages in docs/screenshots, taken anew by the tests
	@hack/need.sh test
	BTFLEET_SCREENSHOTS=docs/screenshots cargo test $(CARGOFLAGS) --test it -- page::

.PHONY: test-libbpf
test-libbpf: ## our CO-RE verdicts beside libbpf's own
	@hack/need.sh libbpf
	cargo test --no-fail-fast $(CARGOFLAGS) --manifest-path tests/libbpf/Cargo.toml -- --show-output

.PHONY: model
model: ## search the model of collection with larger bounds than `make test` does
	BTFLEET_MODEL=large cargo test $(CARGOFLAGS) --test it -- collection --nocapture

.PHONY: bench
bench: dist ## our time and memory beside bpftool's and libbpf's: BENCH_RUNS=31
	@hack/need.sh bench
	@BTFLEET="$$(hack/dist.sh --path)" hack/bench.sh

.PHONY: scale
scale: ## the controller on clusters of 5,000 and 50,000 Nodes: SCALE="5000 50000"
	@hack/need.sh test
	@hack/scale.sh $(SCALE)

.PHONY: bench-serve
bench-serve: ## 1,000 pods that fetch at once, from `btfleet serve` and from nginx: SERVE_ROUNDS=1
	@hack/need.sh serve
	@hack/bench-serve.sh

.PHONY: bench-check
bench-check: ## `btfleet check` of up to 100 objects on up to 100 kernels
	@hack/bench-check.sh

.PHONY: dist
dist: ## the binary that ships: static, stripped, fat LTO
	@hack/dist.sh

.PHONY: dump-order
dump-order: ## which functions of the binary that ships lie together: what a `dump` of the 6.18 kernel runs
	@hack/dump-order.sh

.PHONY: image
image: ## the images of an installation as archives in $(TARGET)/images, without a registry (as root)
	@hack/image.sh $(TARGET)/images

.PHONY: image-check
image-check: ## build the shipped binary twice, in two folders, and compare the bytes
	@hack/image-check.sh

.PHONY: arm64
arm64: ## the shipped binary and image for arm64, built here and tried under QEMU (as root)
	@hack/arm64.sh

.PHONY: krew
krew: dist ## the kubectl plugin as krew installs it: KREW=target/krew
	@hack/krew.sh $(or $(KREW),$(TARGET)/krew) "$$(hack/dist.sh --path)"

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZ_SECONDS=600
	@hack/fuzz.sh $(or $(FUZZ_SECONDS),600)

.PHONY: fmt
fmt: ## format the code
	@hack/lint.sh fmt

.PHONY: lint
lint: ## format check, clippy and docs, warnings being errors
	@hack/lint.sh check clippy docs

.PHONY: clean
clean: ## remove what was built (./btfleet-store stays)
	cargo clean
	rm -rf benches/dump/target tests/libbpf/target fuzz/target fuzz/corpus fuzz/artifacts
