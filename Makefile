# make run    build the gateway and start it on this machine alone
# make test   every test, with the race detector
# make check  formatting, vet, linters, the map of the rooms, the contract
# See CONTRIBUTING.md for the rest.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BUILD    := -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
FUZZTIME ?= 30s
ARGS     ?=

# Tools, by version: they are no part of the product's go.mod.
GOFUMPT     := mvdan.cc/gofumpt@v0.12.0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCI    := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: run build test check fuzz soak bench figures clean

run: build
	bin/postern quickstart $(ARGS)

build:
	CGO_ENABLED=0 $(GO) build $(BUILD) -o bin/postern ./cmd/postern

test:
	$(GO) test -race -timeout 20m $(TESTFLAGS) ./...

check:
	@out=$$($(GO) run $(GOFUMPT) -l .); test -z "$$out" || { echo "not formatted by gofumpt:"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) run $(GOLANGCI) run
	$(GO) mod verify
	$(GO) mod tidy -diff
	$(GO) test -count=1 -run 'TestRooms|TestOpenAPI' ./gateway ./gateway/rest

# Every fuzz target in turn.
fuzz:
	@for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; \
	done

# The gateway under load for an hour: memory, files and disk stay flat.
soak:
	POSTERN_SOAK=60m $(GO) test -count=1 -timeout 90m -run '^TestSoak$$' -v ./cmd/postern

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...

# What plugins promise, as ratios of processor time, and peers beside them; on a machine
# that does nothing else it takes ten minutes.
figures:
	$(GO) test -run '^$$' -bench 'Fresh|Rewrite$$|Stretch|Stall|Part|InstanceMemory' -benchtime 40x ./plugins/sandbox
	$(GO) test -run '^$$' -bench 'Ready' -benchtime 5x ./plugins/sandbox
	$(GO) test -run '^$$' -bench 'Run/copy' ./plugins/sandbox/snapshot
	$(GO) test -run '^$$' -bench 'Chain' -benchtime 40000x ./plugins
	$(GO) test -run '^$$' -bench PluginAccept -benchtime 20x ./cmd/postern
	cd plugins/testdata/peers && $(GO) run . -rounds 9

clean:
	rm -rf bin .postern
