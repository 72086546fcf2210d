# `make` alone says what there is. Everything runs from a fresh clone with git, Rust, Python 3 and a C linker.
.DEFAULT_GOAL := help
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory

CARGO ?= cargo
# Queries are checked against .sqlx/, so building needs no database.
export SQLX_OFFLINE := true
# What scripts/tools.sh installs comes first.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help
help: ## Say what there is
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Watch the team fix a real bug: no key, no account, no server needed (ARGS="--keep")
	@$(CARGO) build --locked --package codeteam
	@target/debug/codeteam demo $(ARGS)

.PHONY: invoke
invoke: ## Run one handler with a sample event: HANDLER=enqueue EVENT=events/enqueue-new-job.json
	@test -n "$(HANDLER)" -a -n "$(EVENT)" || { echo "say which: make invoke HANDLER=enqueue EVENT=events/enqueue-new-job.json" >&2; exit 2; }
	@$(CARGO) build --quiet --locked --package codeteam
	@target/debug/codeteam invoke $(HANDLER) $(EVENT) $(ARGS)

.PHONY: eval
eval: ## Give evals/core to the team: scripted, or ARGS="--live --budget 5"; ARGS=--check checks the suite
	@$(CARGO) build --quiet --locked --package codeteam
	@target/debug/codeteam eval evals/core $(ARGS)

.PHONY: test
test: tools ## Run every test, on a private PostgreSQL that it brings itself
	$(CARGO) build --workspace --bins --locked
	$(CARGO) test --workspace --locked --no-fail-fast
	@# Chaos mostly waits for leases to run out, so both at a time.
	@$(MAKE) --jobs=2 --output-sync=target test-postgres test-chaos

.PHONY: test-chaos
test-chaos: ## A little of everything that `make chaos` does, in about four minutes (part of test)
	@$(CARGO) build --quiet --workspace --bins --locked
	@target/debug/chaos short --seed 7
	@target/debug/chaos long --seed 7 --rounds 20

.PHONY: chaos
chaos: ## Kill, freeze and starve real processes for hours, and check that nothing is lost (ARGS="kill9 --rounds 100", "list")
	@$(CARGO) build --locked --package chaos
	@target/debug/chaos $(or $(ARGS),all --report target/chaos.json)

HANDLERS := $(notdir $(patsubst %/,%,$(wildcard handlers/*/)))

.PHONY: test-postgres
test-postgres: ## Run the tests of the store and the handlers on every other PostgreSQL of this machine (part of test)
	@CARGO="$(CARGO)" scripts/test-postgres.sh store $(HANDLERS)

.PHONY: check
check: tools ## Formatting, lints, documentation, template: no warnings
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked
	cfn-lint template.yaml deploy/*.yaml deploy/*/*.yaml
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 .tools/aws-emulators/bin/sam validate --lint
	@scripts/checkov/install.sh
	.tools/checkov/bin/checkov --framework cloudformation --skip-download --compact --quiet --file template.yaml deploy/*.yaml deploy/*/*.yaml

.PHONY: bench
bench: tools ## Run the benchmarks, ratios against a peer or a physical limit (ARGS="dispatch", "step", "spawn", "edit", "ledger", "claim", "sizes", "wake" or "webhook")
	@benches/fetch-emulator.sh
	$(CARGO) build --release --locked --package codeteam --package benches
	@PATH="$(CURDIR)/.tools:$$PATH" target/release/benches $(ARGS)

.PHONY: bench-queue
bench-queue: tools ## Measure the queue beside graphile-worker, pg-boss and DBOS, on one PostgreSQL
	@benches/peers/install.sh
	$(CARGO) build --release --locked --package codeteam --package benches
	@target/release/benches queue

# A profile of its own: to --release cargo-lambda adds `panic = "abort"`, where `dispatch` could answer no panic, and a newer processor. Without
# `--compiler cargo` it would ask for zig.
.PHONY: lambda
lambda: tools ## Build every handler as a Lambda, by cargo-lambda, and say what each weighs (a job of CI of its own)
	cargo lambda build --profile lambda --locked --compiler cargo --output-format zip $(HANDLERS:%=--package %)
	@cd target/lambda && for handler in $(HANDLERS); do du --apparent-size --block-size=KB $$handler/bootstrap.zip || exit 1; done

.PHONY: image
image: ## Build the container images and say what they weigh (ARGS=full: with toolchains; ARGS=--dry-run)
	@deploy/image/build.sh $(ARGS)

.PHONY: deploy
deploy: ## Deploy to AWS: ENV=dev or prod (docs/operating.md; ARGS=--dry-run)
	@scripts/deploy.sh $(ENV) $(ARGS)

.PHONY: rollback
rollback: ## Take a service back: SERVICE=dashboard REVISION=41 (ENV=dev, else prod; no REVISION lists them)
	@scripts/deploy-rollback.sh $(or $(ENV),prod) $(SERVICE) $(REVISION) $(ARGS)

.PHONY: task
task: ## Run a command of codeteam where the services are: ENV=prod RUN="ledger verify" (ARGS=--dry-run)
	@scripts/deploy-task.sh $(ENV) $(ARGS) $(RUN)

.PHONY: destroy
destroy: ## Take an environment away, after asking: ENV=dev (ARGS=--dry-run)
	@scripts/deploy-destroy.sh $(ENV) $(ARGS)

.PHONY: sqlx
sqlx: ## Describe the store's queries again after changing SQL (writes .sqlx/)
	$(CARGO) run --quiet --locked --package process --example private_postgres -- scripts/sqlx-prepare.sh

.PHONY: openapi
openapi: ## Describe the REST API again after changing it (writes docs/openapi.json)
	$(CARGO) test --quiet --locked --package codeteam --test all -- --ignored renew_the_description_in_docs

.PHONY: fmt
fmt: ## Format the code
	$(CARGO) fmt --all

.PHONY: tools
tools: ## Install what tests and checks need into .venv (part of test and check)
	@scripts/tools.sh

.PHONY: clean
clean: ## Remove everything that was built or installed in here
	$(CARGO) clean
	rm -rf .venv .tools
