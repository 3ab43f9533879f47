# `make` alone lists the targets. Everything that does more than build and test
# works on the real machine's namespaces and needs root: sudo make demo

GO      ?= go
GOARCH  ?= $(shell $(GO) env GOARCH)
PREFIX  ?= /usr/local
DESTDIR ?=
# Where zsh looks for completions, if not under PREFIX.
ZSHDIR  ?=
places   = DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' ZSHDIR='$(ZSHDIR)'
# For which a package is made.
ARCHS   ?= amd64 arm64
# Kind of the lab's nodes: ns (namespaces, ZFS simulated) or vm (QEMU, all real).
LAB     ?= ns
# safe.directory: under sudo the checkout belongs to somebody else.
VERSION ?= $(shell git -c safe.directory='*' describe --tags --always --dirty 2>/dev/null || echo unknown)

# A distribution's Go is often older than go.mod asks for; it then fetches the
# right one from the module proxy. A local one is used when it is new enough.
export GOTOOLCHAIN ?= auto
export GOFLAGS += -buildvcs=false
export PATH := $(PATH):/usr/local/go/bin
export LAB

# Programs for this project's usual machine lie in bin/, others beside it.
bin      = bin$(if $(filter-out amd64,$(GOARCH)),/$(GOARCH))
ldflags  = -s -w -X github.com/understudy-ha/understudy/pkg/cli.version=$(VERSION)
programs = $(notdir $(wildcard cmd/*))
# Packages in which several things happen at the same time.
racy     = ./pkg/...
# What the scenarios have shown, and the report of it, which is written whether
# they pass or not: $(reported) COMMAND $(report).
results  = $(CURDIR)/dist/drill-results-$(LAB).jsonl
reported = code=0; DRILL_RESULTS='$(results)'
report   = || code=$$?; $(GO) run ./drill/report/cmd -version '$(VERSION)' dist/drill-results-*.jsonl || code=1; exit $$code

.DEFAULT_GOAL := help
.PHONY: help setup toolchain build test race lint demo drill takeover bench lab-up lab-ssh lab-down pages install uninstall package clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: ## install what is missing (Debian 12, 13, Ubuntu 24.04); the others call it
	@scripts/setup.sh

toolchain:
	@scripts/setup.sh toolchain

build: toolchain ## build the programs, static, into bin/; GOARCH=arm64 works too
	CGO_ENABLED=0 GOOS=linux GOARCH=$(GOARCH) $(GO) build -trimpath -ldflags '$(ldflags)' -o $(bin)/ ./cmd/...
	CGO_ENABLED=0 GOOS=linux GOARCH=$(GOARCH) $(GO) build -trimpath -ldflags '$(ldflags)' -o $(bin)/libexec/ ./libexec/...

test: toolchain ## run all tests that need no lab; the scripts run on the simulator
	$(GO) test ./...
	$(GO) test -tags man ./pkg/cli

race: setup ## run the packages' tests under the race detector
	CGO_ENABLED=1 $(GO) test -race $(racy)

lint: setup ## check format, prose, vet, staticcheck, package directions, shell scripts
	@scripts/lint.sh

demo: setup ## show replication and a takeover between two nodes (LAB=vm: all real)
	$(GO) run ./drill/demo

# What Debian's own programs say of the metrics has nothing to do with ZFS, nor
# have the packages.
drill: setup ## run the scenarios in the lab (LAB=ns or vm); report: dist/drill-report.html
	install -d dist && rm -f '$(results)'
	$(reported) $(GO) test -tags drill -count=1 -p 1 -v -timeout 50m ./lab ./drill $(if $(filter ns,$(LAB)),./packaging/monitoring ./packaging/debian) $(report)

# Not part of the drill on virtual machines: emulated nodes are so slow that
# other work on the machine makes their services time out.
takeover: setup ## run takeovers, failback and lags alone (LAB=vm: real ZFS and Traefik, up to three hours)
	install -d dist
	$(reported) UNDERSTUDY_TAKEOVER=1 $(GO) test -tags drill -count=1 -p 1 -v -timeout 4h -run 'TestTakeover|TestFailback|TestThreeNodes|TestLease|TestLagOfAPair|TestPackaged' ./drill ./packaging/monitoring $(report)

bench: setup ## measure against syncoid in the lab and write docs/benchmarks.md
	$(GO) run ./drill/bench

lab-up: setup ## start a lab of two nodes, a and b, to use by hand
	$(GO) run ./lab/cmd/lab up

lab-ssh: toolchain ## log in to a node of that lab: NODE=a
	@test -n '$(NODE)' || { echo 'make: which node? make lab-ssh NODE=a' >&2; exit 64; }
	@$(GO) run ./lab/cmd/lab ssh '$(NODE)'

lab-down: toolchain ## stop that lab and remove all of it
	$(GO) run ./lab/cmd/lab down

# The date of all that is made: that of the commit.
pages package: export SOURCE_DATE_EPOCH ?= $(shell git -c safe.directory='*' log -1 --format=%ct 2>/dev/null || echo 0)

pages: toolchain
	@scripts/pages.sh bin/pages

install: build pages ## install without a package (PREFIX, DESTDIR): docs/packages.md
	@$(places) scripts/install.sh install $(bin) bin/pages

uninstall: build pages ## take away what install has put in place, and nothing else
	@$(places) scripts/install.sh uninstall $(bin) bin/pages

package: pages ## make Debian packages in dist/ (ARCHS="amd64 arm64")
	@set -e; for arch in $(ARCHS); do $(MAKE) --no-print-directory build GOARCH=$$arch; done
	@scripts/package.sh '$(VERSION)' bin/pages $(foreach arch,$(ARCHS),$(arch)=bin$(if $(filter-out amd64,$(arch)),/$(arch)))

clean: ## remove what was built (the lab's images stay: lab/README.md)
	rm -rf bin dist
