# Entry points for people and for CI; "make help" lists them. Logic belongs in
# Go tests, not here.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# What "make build" writes and how it is named. An empty VERSION leaves it to
# what the go command records of the repository.
BIN ?= bin/oauth-mcp-server
VERSION ?=
IMAGE ?= oauth-mcp-server

# A count, not a time: with a time, the coordinator of Go 1.26 can report its own
# deadline as a failure (go.dev/issue/75804). Minimizing is counted too: by default
# each input that is worth keeping may take a minute.
FUZZTIME ?= 50000x
FUZZTIMEOUT ?= 5m

# The linter's file carries its version, so that a new one is built when
# tools/go.mod changes and an old one is kept until then.
lint_version = $(shell awk '$$1 == "github.com/golangci/golangci-lint/v2" { print $$2; exit }' tools/go.mod)
golangci = bin/golangci-lint-$(lint_version)

# The clients and the documents of the end-to-end tests, npm packages each pinned
# by the lock file of their folder.
packages = e2e/node_modules/.package-lock.json e2e/openapi/node_modules/.package-lock.json

# What the tree looks like, to compare before and after. The clone may belong to
# another user than the one who builds.
tree_state = { git -c safe.directory='*' status --porcelain; git -c safe.directory='*' diff; }

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: dev
dev: ## Run the server with a development authorization server and API
	go run ./cmd/oauth-mcp-server dev

.PHONY: test
test: $(packages) ## Everything CI runs: check, fuzz, all tests with the race detector, mutate
	@mkdir -p bin && $(tree_state) > bin/tree.before
	@$(MAKE) check fuzz race mutate
	@$(tree_state) | diff bin/tree.before - || { echo "make test has changed the tree"; exit 1; }

.PHONY: race
race: ## Run all tests with the race detector, in random order
	go test -race -shuffle=on -count=1 -timeout=10m ./...

.PHONY: e2e
e2e: $(packages) ## Run the end-to-end tests, with clients of other people
	go test -race -shuffle=on -count=1 -timeout=10m -v ./e2e/...

.PHONY: bench
bench: ## Measure: benchmarks, and 10,000 idle streams beside 50 that work
	go test -run='^$$' -bench=. -benchmem ./internal/...
	go run ./bench/streams

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME
	@grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' cmd internal | sort | while IFS=: read -r file function; do \
		echo "fuzz $$(dirname "$$file") $${function#func }"; \
		go test -run='^$$' -fuzz="^$${function#func }$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=100x -timeout=$(FUZZTIMEOUT) "./$$(dirname "$$file")" | grep -v '^fuzz: elapsed'; \
	done

.PHONY: fuzz-long
fuzz-long: ## Run each fuzz target for minutes, as a nightly job does
	@$(MAKE) fuzz FUZZTIME=1000000x FUZZTIMEOUT=60m

# Packages whose every check has to be missed by a test.
MUTATE ?= ./internal/bearer

.PHONY: mutate
mutate: ## Remove one check of the verifier at a time; a test has to fail
	go run ./internal/mutate $(MUTATE)

.PHONY: check
check: lint ## Check format, lint, vet and the module files
	go vet ./...
	go mod tidy -diff && go -C tools mod tidy -diff
	go mod verify

.PHONY: lint
lint: $(golangci) ## Check format and lint
	$(golangci) fmt --diff
	$(golangci) run

.PHONY: fmt
fmt: $(golangci) ## Modernize and format the code
	go fix ./...
	$(golangci) fmt

.PHONY: gen
gen: ## Write the generated files and the goldens again
	go test . ./internal/config ./internal/telemetry ./internal/tool ./cmd/oauth-mcp-server -update

.PHONY: tidy
tidy: ## Tidy the module files
	go mod tidy
	go -C tools mod tidy

.PHONY: vuln
vuln: ## Look for known vulnerabilities; needs https://vuln.go.dev
	go tool -modfile=tools/go.mod govulncheck ./...

.PHONY: build
build: ## Build the static binary BIN, as the image does
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o "$(BIN)" ./cmd/oauth-mcp-server

.PHONY: image
image: ## Build the container image IMAGE; needs Docker
	docker build --build-arg VERSION="$(VERSION)" --tag "$(IMAGE)" .

$(golangci): tools/go.mod tools/go.sum
	go -C tools build -o "../$@" github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch "$@"

# npm writes this file last, and only when it has installed everything.
$(packages): %/node_modules/.package-lock.json: %/package.json %/package-lock.json
	npm --prefix $* ci --ignore-scripts --no-audit --no-fund
	@touch "$@"
