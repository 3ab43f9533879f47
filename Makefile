# `make` alone lists the targets. Targets that do more than build and test work in
# namespaces of this machine and need root: sudo make demo

GO      ?= go
GOARCH  ?= $(shell $(GO) env GOARCH)
PREFIX  ?= /usr/local
DESTDIR ?=
# Where zsh looks for completions, if not under PREFIX.
ZSHDIR  ?=
places   = DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' ZSHDIR='$(ZSHDIR)'
# Architectures of the packages.
ARCHS   ?= amd64 arm64
# Kind of the lab's nodes: ns (namespaces, ZFS simulated) or vm (QEMU, all real).
LAB     ?= ns
# safe.directory: under sudo the checkout belongs to another user.
VERSION ?= $(shell git -c safe.directory='*' describe --tags --always --dirty 2>/dev/null || echo unknown)

# A distribution's Go is often older than go.mod requires; it then fetches the
# right release from the module proxy. A local release is used if new enough.
export GOTOOLCHAIN ?= auto
export GOFLAGS += -buildvcs=false
export PATH := $(PATH):/usr/local/go/bin
export LAB

# Programs for amd64 are in bin/, for other architectures in a folder below it.
bin      = bin$(if $(filter-out amd64,$(GOARCH)),/$(GOARCH))
ldflags  = -s -w -X github.com/understudy-ha/understudy/pkg/cli.version=$(VERSION)
programs = $(notdir $(wildcard cmd/*))
# Packages with concurrent code.
racy     = ./pkg/... ./lab/zfssim/...
# The results of the scenarios and their report, which is written whether they
# pass or fail: $(reported) COMMAND $(report).
results  = $(CURDIR)/dist/drill-results-$(LAB).jsonl
reported = code=0; DRILL_RESULTS='$(results)'
report   = || code=$$?; $(GO) run ./drill/report/cmd -version '$(VERSION)' dist/drill-results-*.jsonl || code=1; exit $$code

.DEFAULT_GOAL := help
.PHONY: help setup toolchain build test race lint demo drill takeover bench lab-up lab-ssh lab-down pages install uninstall package clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: ## install missing tools (Debian 12, 13, Ubuntu 24.04); other targets call it
	@scripts/setup.sh

toolchain:
	@scripts/setup.sh toolchain

build: toolchain ## build static programs into bin/; GOARCH=arm64 works too
	CGO_ENABLED=0 GOOS=linux GOARCH=$(GOARCH) $(GO) build -trimpath -ldflags '$(ldflags)' -o $(bin)/ ./cmd/...
	CGO_ENABLED=0 GOOS=linux GOARCH=$(GOARCH) $(GO) build -trimpath -ldflags '$(ldflags)' -o $(bin)/libexec/ ./libexec/...

test: toolchain ## run all tests without a lab; scripts run on the simulator
	$(GO) test ./...
	$(GO) test -tags man ./pkg/cli

race: setup ## run the tests of packages under the race detector
	CGO_ENABLED=1 $(GO) test -race $(racy)

lint: setup ## check format, prose, vet, staticcheck, package directions, shell scripts
	@scripts/lint.sh

demo: setup ## show replication and a takeover between two nodes (LAB=vm: all real)
	$(GO) run ./drill/demo

# The tests of metrics and packages do not depend on ZFS: nodes in namespaces
# suffice.
drill: setup ## run the scenarios in the lab (LAB=ns or vm); report: dist/drill-report.html
	install -d dist && rm -f '$(results)'
	$(reported) $(GO) test -tags drill -count=1 -p 1 -v -timeout 50m ./lab ./drill $(if $(filter ns,$(LAB)),./packaging/monitoring ./packaging/debian) $(report)

# Separate from the drill on virtual machines: emulated nodes are so slow that
# other work on the machine makes their services time out.
takeover: setup ## run takeovers, failback and lag alone (LAB=vm: up to three hours)
	install -d dist
	$(reported) UNDERSTUDY_TAKEOVER=1 $(GO) test -tags drill -count=1 -p 1 -v -timeout 4h -run 'TestTakeover|TestFailback|TestThreeNodes|TestLease|TestLagOfAPair|TestPackaged' ./drill ./packaging/monitoring $(report)

bench: setup ## measure against syncoid in the lab and write docs/benchmarks.md
	$(GO) run ./drill/bench

lab-up: setup ## start a lab of two nodes, a and b, for manual use
	$(GO) run ./lab/cmd/lab up

lab-ssh: toolchain ## log in to a node of that lab: NODE=a
	@test -n '$(NODE)' || { echo 'make: which node? make lab-ssh NODE=a' >&2; exit 64; }
	@$(GO) run ./lab/cmd/lab ssh '$(NODE)'

lab-down: toolchain ## stop and remove that lab
	$(GO) run ./lab/cmd/lab down

# The date of all files: that of the commit.
pages package: export SOURCE_DATE_EPOCH ?= $(shell git -c safe.directory='*' log -1 --format=%ct 2>/dev/null || echo 0)

pages: toolchain
	@scripts/pages.sh bin/pages

install: build pages ## install without a package (PREFIX, DESTDIR): docs/packages.md
	@$(places) scripts/install.sh install $(bin) bin/pages

uninstall: build pages ## remove the files of make install, and nothing else
	@$(places) scripts/install.sh uninstall $(bin) bin/pages

package: pages ## make Debian packages in dist/ (ARCHS="amd64 arm64")
	@set -e; for arch in $(ARCHS); do $(MAKE) --no-print-directory build GOARCH=$$arch; done
	@scripts/package.sh '$(VERSION)' bin/pages $(foreach arch,$(ARCHS),$(arch)=bin$(if $(filter-out amd64,$(arch)),/$(arch)))

clean: ## remove bin and dist (the lab's images stay: lab/README.md)
	rm -rf bin dist
