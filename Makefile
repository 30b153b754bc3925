# Ninefold. `make demo` and `make test` need nothing but this: each sets up what is missing, then does its work.
# Steps of the set-up live in docker/setup.sh; a step that finds its work done says nothing.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# One set of flags for building, vetting, testing and linting, so that nothing is compiled twice. The version is stamped by us, below:
# a checkout that git refuses to read (another user's, or none at all) still builds. -trimpath is the image's (docker/Dockerfile): here it
# would hide from tests where the repository is.
export GOFLAGS := $(strip $(shell go env GOFLAGS 2>/dev/null) -mod=readonly -buildvcs=false)
export CGO_ENABLED := 1
# Tests find the pinned servers here.
export PATH := $(CURDIR)/bin/tools:$(PATH)

# 1.2.3 on the tag v1.2.3, 1.2.3-4-gabcdef after it, 0.1.0-dev-gabcdef before the first tag, 0.1.0-dev without git; -dirty as git says.
VERSION ?= $(or $(shell git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null | sed 's/^v//'),\
  0.1.0-dev$(addprefix -g,$(shell git describe --always --exclude '*' --dirty 2>/dev/null)))
LDFLAGS := -X main.version=$(VERSION)

# Packages that compute for minutes under the race detector, or spend their time in C: tested without it. Every other one has it.
SLOW_UNDER_RACE := cmd/|moderation/onnx|moderation/tfjs|transcode/ffmpeg|transcode/raster|transcode/sandbox|transcode/vips
# The campaigns that break a deployment run eight at once and judge how long it takes to recover: after everything else, alone.
LAST := cmd/ninefold/chaos
TIMEOUT := 15m

.PHONY: help
help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: build models ## Set up, build, and show one message going through the queue, the engine, the classifier and the store.
	@docker/demo-media.sh bin/demo
	@bin/ninefold demo

.PHONY: test
test: build models tools ## Set up, build, vet, and run every test against the real programs.
	@race=$$(go list ./... | grep -vE '/($(SLOW_UNDER_RACE))'); \
	slow=$$(go list ./... | grep -E '/($(SLOW_UNDER_RACE))' | grep -v '/$(LAST)$$'); \
	go vet ./... && go test -race -timeout $(TIMEOUT) $$race && go test -timeout $(TIMEOUT) $$slow && \
	go test -timeout $(TIMEOUT) ./$(LAST) || \
	{ echo; echo "make test: FAILED, see the lines marked FAIL above"; exit 1; }; \
	echo; echo "make test: everything passed in $$SECONDS s, set-up not counted"

.PHONY: test-trixie
test-trixie: ## Run every test on Debian 13, in a chroot made from this machine's mirror (root). PACKAGES='./transcode/vips' runs some.
	@docker/test-chroot.sh trixie $(PACKAGES)

.PHONY: test-arm64
test-arm64: ## Build for arm64 against Debian 13's libraries and run filters, known answers and a note under qemu, in a chroot (root, amd64).
	@docker/test-arm64.sh

.PHONY: bench-photo
bench-photo: build ## Measure photos against libvips' own tools and against bimg alone; fails where a limit is missed.
	@NINEFOLD_BENCH_BIN='$(CURDIR)/bin' go test -count=1 -timeout 30m -run '^TestBenchPhoto$$' -v ./transcode/vips

.PHONY: test-colour
test-colour: build ## Compare what is delivered with what Debian's Chromium shows of the original: depths, bands, alpha, profiles, PNG's chunks.
	@NINEFOLD_COLOUR=1 CI=true go test -count=1 -timeout 30m -run '^TestColourTable$$' ./transcode/vips

.PHONY: build
build: system ## Build the worker and its two engines into bin/.
	@go build -ldflags '$(LDFLAGS)' -o bin/ ./cmd/ninefold ./cmd/ninefold-engine
	@CGO_ENABLED=0 go build -o bin/ ./cmd/ninefold-voice-engine

.PHONY: setup
setup: models tools ## Everything demo and test need: Debian packages, the programs, fonts, models, test servers.

.PHONY: race
race: build models tools ## Run every test under the race detector, the slow packages too.
	@go test -race -timeout 30m ./...

.PHONY: bench-voice
bench-voice: build ## Measure a voice note's CPU and memory against a bare ffmpeg and the usual five processes; fails when a limit is missed.
	@go run ./cmd/bench-voice -engine bin/ninefold-engine

.PHONY: bench-moderation
bench-moderation: build ## Measure each model's pictures against ONNX Runtime's bare call, its memory and its start; fails where the limit is missed.
	@bin/ninefold models fetch --dir bin/models nsfwjs-mobilenet-v2 nsfwjs-mobilenet-v2-mid nsfwjs-inception-v3
	@NINEFOLD_BENCH_MODELS='$(CURDIR)/bin/models' go test -count=1 -timeout 30m -run '^TestBenchModeration$$' -v ./moderation/onnx | grep -vE '^(=== RUN|--- )'

.PHONY: bench-sandbox
bench-sandbox: build ## Measure what the sandbox adds to a single photo's CPU, against the same engine started bare; fails above 15 %.
	@NINEFOLD_BENCH_BIN='$(CURDIR)/bin' go test -count=1 -timeout 30m -run '^TestBenchSandbox$$' -v ./transcode/sandbox

.PHONY: hostile
hostile: build ## Run the campaigns C7 and H1 to H7 in their long form (about half an hour), one JSON line per row.
	@NINEFOLD_LONG=1 go test -count=1 -timeout 3h -run '^Test(Campaign|Escapes)' ./transcode/sandbox

.PHONY: campaign-frame
campaign-frame: build models ## Hide one marked frame in each of CLIPS (200) clips of at most LONGEST (180) seconds: seen, or said to be unseen.
	@NINEFOLD_CAMPAIGN='$(or $(CLIPS),200)' NINEFOLD_CAMPAIGN_SECONDS='$(or $(LONGEST),180)' go test -count=1 -timeout 12h -run '^TestCampaignOfOneFrame$$' -v ./cmd/ninefold | grep --line-buffered -E '^(\{|--- |ok|FAIL|panic:| +[a-z_]+\.go)'

.PHONY: campaign-clips
campaign-clips: build models ## Send your own clips (NINEFOLD_CLIPS=DIRECTORY) through engine and default model: how many end unknown. At most 2 % may.
	@go test -count=1 -timeout 12h -run '^TestHonestClips$$' -v ./cmd/ninefold | grep --line-buffered -E '^(\{|--- |ok|FAIL|panic:| +[a-z_]+\.go)'

.PHONY: chaos
chaos: build models tools ## Break a deployment for hours, the long forms of campaigns C1 to C6 and C8: one JSON line a row. CAMPAIGN=C1 runs one, SHARE=20 a fifth of the counts.
	@NINEFOLD_CHAOS=long NINEFOLD_CHAOS_SHARE='$(SHARE)' CI=true go test -count=1 -timeout 12h -run 'Test$(CAMPAIGN)' -v ./cmd/ninefold/chaos | grep --line-buffered -E '^(\{|--- |ok|FAIL|panic:| +[a-z_]+\.go)'

.PHONY: bench-queue
bench-queue: build models tools ## Measure what our handler adds to bare asynq, and voice notes behind long videos; fails when a limit is missed.
	@NINEFOLD_BENCH=1 go test -count=1 -timeout 30m -run '^TestBenchQueue$$' -v ./queue
	@NINEFOLD_BENCH=1 go test -count=1 -timeout 30m -run '^TestBenchVoiceBehindVideo$$' -v ./cmd/ninefold/chaos

.PHONY: bench-scale
bench-scale: build models tools ## Measure what a message of each kind costs a deployment: CPU, Redis commands, bytes. The figures below "Scale" in README.md.
	@NINEFOLD_BENCH=1 CI=true go test -count=1 -timeout 30m -run '^TestBenchScale$$' -v ./cmd/ninefold/chaos | grep --line-buffered -E '^(\{|--- |ok|FAIL|panic:| +[a-z_]+\.go)'

.PHONY: bench-video
bench-video: build models ## Measure a video's CPU and memory against a bare ffmpeg and the usual separate runs; fails when a limit is missed.
	@go run ./cmd/bench-video -engine bin/ninefold-engine

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (30s) each; what one finds stays in its package's testdata/fuzz.
	@grep -rlE '^func Fuzz' --include='*_test.go' . | while read -r file; do \
	  for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9]*)\(.*/\1/p' "$$file"); do \
	    echo "$$(dirname "$$file") $$target"; \
	    go test "$$(dirname "$$file")" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(or $(FUZZTIME),30s) | tail -n 2; \
	  done; \
	done

.PHONY: lint
lint: system ## Run the pinned golangci-lint (built into bin/tools the first time).
	@docker/setup.sh lint
	@golangci-lint run

.PHONY: fmt
fmt: ## Format every Go file as the linter wants it.
	@docker/setup.sh lint
	@golangci-lint fmt

.PHONY: clean
clean: ## Remove what was built; models and tools stay (`make clean-all` removes them too).
	@rm -rf bin/ninefold bin/ninefold-engine bin/ninefold-voice-engine

.PHONY: clean-all
clean-all: ## Remove bin/ altogether: the next command sets up again.
	@rm -rf bin

# Steps of the set-up, in the order they need each other.
.PHONY: system fonts models tools
system:
	@docker/setup.sh system
fonts: system
	@docker/setup.sh fonts
models: build fonts
	@docker/setup.sh models
tools: system
	@docker/setup.sh tools
