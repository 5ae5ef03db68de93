# Two targets do all the set-up on a fresh machine: `make run` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
GO ?= go
VERSION ?= $(shell git describe --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/signalbox-test
GOLANGCI := $(CACHE)/bin/golangci-lint
GOLANGCI_VERSION := v2.15.0

.PHONY: run test sim faults faults-mutants check lint build bench fuzz schema servers clean help

.DEFAULT_GOAL := help

## help: what can be made
help:
	@sed -n 's/^## \([a-z-]*\): /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

## run: the daemon with its embedded store, against the sandbox company; or CONFIG=dir for your own
run:
ifdef CONFIG
	$(GO) build -o bin/signalbox ./cmd/signalbox
	exec bin/signalbox --config "$(CONFIG)" --data "$(or $(DATA),data)"
else
	@echo "building (the first time takes a few minutes) …"
	$(GO) build -o bin/signalbox ./cmd/signalbox
	$(GO) build -o bin/signalboxctl ./cmd/signalboxctl
	$(GO) build -o bin/sandbox ./cmd/sandbox
	exec bin/sandbox --signalbox bin/signalbox
endif

# The stories mostly wait, so that many go at once; vet is among what lint runs.
TESTS := -race -vet=off -parallel 8 -timeout 60m
# Each of these starts dozens of servers and daemons: one after another, at the end.
HEAVY := catalog|faults|parity|acceptance

## test: install or build what the tests need, then run all of them
test: servers
	$(GO) test $(TESTS) -p 3 $$($(GO) list ./... | grep -vE '/test/($(HEAVY))$$') # some of them mostly wait for real servers
	$(GO) test $(TESTS) -p 1 $(patsubst %,./test/%,$(subst |, ,$(HEAVY)))
	$(MAKE) sim

## sim: months of incidents in virtual time, with faults; INCIDENTS, DAYS and SEED say how many
INCIDENTS ?= 100000
DAYS ?= 90
sim:
	SIGNALBOX_INCIDENTS=$(INCIDENTS) SIGNALBOX_DAYS=$(DAYS) SIGNALBOX_SEED=$(SEED) GOGC=300 $(GO) test -count=1 -timeout 0 -v -run TestNinetyDays ./test/sim
	$(GO) test -count=1 -v -run TestStormOfAlerts ./internal/engine

## faults: continues the fault campaign for MINUTES, with CELLS daemons at once, and rewrites docs/faults.md; ROW, OF (a part of a variant's name) and SEED choose, MERGE takes in the results of elsewhere
MINUTES ?= 10
CELLS ?= 2
faults: servers
	SIGNALBOX_FAULTS=$(MINUTES) SIGNALBOX_FAULTS_CELLS=$(CELLS) SIGNALBOX_FAULTS_ROW=$(ROW) SIGNALBOX_FAULTS_OF='$(OF)' SIGNALBOX_FAULTS_SEED=$(SEED) SIGNALBOX_FAULTS_MERGE=$(MERGE) $(GO) test -count=1 -timeout 0 -parallel $(CELLS) -v -run TestCampaign ./test/faults

## faults-mutants: daemons that are wrong in one way each, which the campaign must catch
faults-mutants: servers
	SIGNALBOX_MUTANTS=1 $(GO) test -count=1 -timeout 0 -v -run TestMutants ./test/faults

## check: lint and unit tests, for the inner loop
check: lint
	$(GO) test -short -timeout 5m ./...

## servers: the real servers that the tests run against, cached outside the tree
servers:
	$(GO) run ./test/servers/install

## lint: golangci-lint, built once from its module
lint: $(GOLANGCI)
	$(GOLANGCI) run ./...

$(GOLANGCI):
	@echo "building golangci-lint $(GOLANGCI_VERSION) …"
	GOBIN=$(dir $(GOLANGCI)) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

## build: both binaries, static and stripped
build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/signalbox ./cmd/signalbox
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/signalboxctl ./cmd/signalboxctl

## bench: the figures of bench/README.md
bench:
	$(GO) test -run '^$$' -bench . -benchmem ./policy ./detectors/alertmanager
	$(GO) test -run '^$$' -bench 'Write|PutInbox' -benchmem ./internal/journal
	$(GO) test -run '^$$' -bench Fold -benchtime 1000000x -timeout 30m ./internal/journal
	$(GO) test -run '^$$' -bench . -benchmem ./internal/store/etcd
	$(GO) test -run '^$$' -bench . -benchtime 3s -timeout 30m ./bench

## fuzz: each fuzz target for FUZZTIME
FUZZTIME ?= 30s
fuzz:
	@for pkg in $$($(GO) list ./...); do \
	  for target in $$(cd "$$($(GO) list -f '{{.Dir}}' $$pkg)" && grep -ho 'func Fuzz[A-Za-z0-9_]*' *_test.go 2>/dev/null | cut -c6-); do \
	    echo "$$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; done

## schema: the JSON Schema of the configuration, from the Go types
schema:
	$(GO) generate ./internal/config

## clean: removes what was built here
clean:
	rm -rf bin
