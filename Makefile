# SPDX-License-Identifier: Apache-2.0

# "make" lists the targets. The two that matter: "make run" builds and runs the
# main job, "make test" installs what the tests need and passes them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.ONESHELL:
MAKEFLAGS += --no-print-directory

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
# A copy without git, or one that git does not trust, builds too.
BUILDVCS := $(shell git status >/dev/null 2>&1 && echo auto || echo false)
LDFLAGS := -X main.version=$(VERSION)

# Probes and packet capture need root; building does not, and should not leave
# root's files in a person's caches. So tests are built here and run by sudo.
ROOT := $(filter 0,$(shell id -u))
SUDO := $(if $(ROOT),,sudo)
AS_ROOT := $(if $(ROOT),,-exec "sudo -E")

# Tools live in a cache of their own, by version: golangci-lint takes minutes to
# build. The versions are those in tools/go.mod.
GOVERSION := $(shell go env GOVERSION)
tool-version = $(shell awk '$$1 == "$(1)" && $$2 ~ /^v/ {print $$2}' tools/go.mod)
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/lifetrace/tools
GOLANGCI := $(CACHE)/golangci-lint-$(call tool-version,github.com/golangci/golangci-lint/v2)-$(GOVERSION)
GOFUMPT := $(CACHE)/gofumpt-$(call tool-version,mvdan.cc/gofumpt)-$(GOVERSION)

# The objects in internal/probes are built by this clang, which Debian 12 has.
CLANG := clang-14
CLANG_VERSION := 14.0.6
CLANG_FORMAT := clang-format-14
PACKAGES := clang-14 llvm-14 clang-format-14 libbpf-dev linux-libc-dev gcc libc6-dev \
	wrk tcpdump curl strace

# What several goroutines or threads share memory in.
RACE := ./internal/stamp ./internal/collect ./internal/window ./internal/metrics ./internal/admin

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/lifetrace
	CGO_ENABLED=0 go build -trimpath -buildvcs=$(BUILDVCS) -ldflags '$(LDFLAGS)' -o bin/lifetrace ./cmd/lifetrace

.PHONY: run
run: build ## build, and run the daemon with its demo application (ARGS="--listen :8081")
	$(SUDO) bin/lifetrace run $(ARGS)

.PHONY: setup
setup: ## install what the tests need (Debian packages; skips what is there)
	@missing=
	for p in $(PACKAGES); do
		dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing+=" $$p"
	done
	if [ -n "$$missing" ]; then
		command -v apt-get >/dev/null || { echo "install these first:$$missing" >&2; exit 1; }
		$(SUDO) apt-get update -q
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing
	fi

.PHONY: test
test: setup ## install what the tests need, and run all of them, lint last
	$(MAKE) test-all test-race test-oracle check-generate lint

.PHONY: test-all
test-all: # every Go test but the oracle's, probes included
	go vet ./...
	go test $(AS_ROOT) -count=1 -timeout 15m -skip '^TestOracle' ./...

.PHONY: test-short
test-short: ## run the tests that need neither root nor BPF
	go test -short ./...

.PHONY: test-race
test-race: ## run the packages that share memory under the race detector
	CGO_ENABLED=1 go test -race -count=1 -timeout 10m $(RACE)

# The pattern must find a test: a run of none would pass.
.PHONY: test-oracle
test-oracle: ## compare timelines with a tcpdump of the same run
	mkdir -p bin
	go test $(AS_ROOT) -count=1 -timeout 10m -v -run '^TestOracle' ./internal/e2e | tee bin/oracle.log
	grep -q '^--- PASS: TestOracle' bin/oracle.log

.PHONY: generate
generate: clang ## build the BPF objects and the types that Go shares with them
	go generate ./internal/probes

.PHONY: check-generate
check-generate: clang ## build the BPF objects again and compare with what is checked in
	@old=$$(mktemp -d)
	trap 'rm -rf "$$old"' EXIT
	cp internal/probes/*_bpfel.go internal/probes/*_bpfel.o "$$old"
	go generate ./internal/probes
	for f in "$$old"/*; do
		cmp "$$f" "internal/probes/$${f##*/}" || { echo "checked-in objects are not what bpf/ gives: commit what 'make generate' made" >&2; exit 1; }
	done

.PHONY: clang
clang: # the pinned compiler, or an error
	@$(CLANG) --version | grep -qF 'version $(CLANG_VERSION)' || \
		{ echo "$(CLANG) $(CLANG_VERSION) is needed, 'make setup' installs it; here: $$($(CLANG) --version 2>&1 | head -n 1)" >&2; exit 1; }

.PHONY: lint
lint: tools ## check formatting and run the linters
	@unformatted=$$($(GOFUMPT) -l .)
	if [ -n "$$unformatted" ]; then echo "not formatted, 'make fmt' does it:" $$unformatted >&2; exit 1; fi
	$(CLANG_FORMAT) --dry-run -Werror bpf/*.[ch]
	$(GOLANGCI) run ./...

.PHONY: fmt
fmt: tools ## format Go and C
	$(GOFUMPT) -w .
	$(CLANG_FORMAT) -i bpf/*.[ch]

.PHONY: tools
tools: $(GOLANGCI) $(GOFUMPT) ## build the pinned linters (minutes, once)

# Built beside their place and moved there: a build that was cut short must not
# look done.
$(GOLANGCI):
	@echo "building golangci-lint, once: this takes some minutes"
	mkdir -p $(@D)
	cd tools
	go build -o $@.new github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	mv $@.new $@

$(GOFUMPT):
	mkdir -p $(@D)
	cd tools
	go build -o $@.new mvdan.cc/gofumpt
	mv $@.new $@

.PHONY: clean
clean: ## remove what was built here (the tools' cache stays)
	rm -rf bin
