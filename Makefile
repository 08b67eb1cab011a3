# The commands of this project. Longer steps are in scripts/.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test crash simulate fix lint schema seed bench web ci

SIZE ?= small
RNG_SEED ?= 1
KILLS ?= 200
REPLAYS ?= 2000
CRASH_SEED ?=
BATCHES ?= 2000

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: ## build what is missing and serve on 127.0.0.1:8000
	@if [ -f web/package.json ] && [ ! -d web/dist ]; then \
		if command -v npm >/dev/null; then $(MAKE) --no-print-directory web; \
		else echo "npm is not here: serving without GraphiQL (the small built-in page instead)" >&2; fi; \
	fi
	cargo run --profile quick -- serve

test: ## run every test, on SQLite and PostgreSQL (KEEP_POSTGRES=1 leaves the server running)
	@trap '[ "$${KEEP_POSTGRES:-}" = 1 ] || scripts/test-teardown' EXIT; \
	scripts/test-setup; \
	rm -f target/test-times; \
	status=0; \
	TEST_POSTGRES_URL="$$(cat target/test-postgres.url)" cargo test --workspace || status=$$?; \
	scripts/slowest-tests; \
	exit $$status

crash: ## kill servers and databases at random, many times (KILLS=200 CRASH_SEED=1 repeats a run)
	@trap '[ "$${KEEP_POSTGRES:-}" = 1 ] || scripts/test-teardown' EXIT; \
	scripts/test-setup; \
	TEST_POSTGRES_URL="$$(cat target/test-postgres.url)" CRASH_KILLS=$(KILLS) CRASH_SEED=$(CRASH_SEED) \
		cargo test --test it -- operations::crash:: --nocapture

simulate: ## run the long simulations: failing streams (BATCHES=2000), verdicts (REPLAYS=2000 RNG_SEED=1)
	REPLAYS=$(REPLAYS) RNG_SEED=$(RNG_SEED) cargo bench --bench verdicts
	@trap '[ "$${KEEP_POSTGRES:-}" = 1 ] || scripts/test-teardown' EXIT; \
	scripts/test-setup; \
	TEST_POSTGRES_URL="$$(cat target/test-postgres.url)" FAILOVER_BATCHES=$(BATCHES) \
		cargo test --test it -- live::failover:: --nocapture

fix: ## apply clippy's suggestions, then format
	cargo clippy --fix --allow-dirty --allow-staged --workspace --all-targets
	cargo fmt --all

lint: ## format, clippy and documentation, warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Writes a second file first: a failed build must not leave an empty schema behind.
schema: ## write schema.graphql from the code
	cargo run -- schema print > schema.graphql.new || { rm -f schema.graphql.new; exit 1; }
	mv schema.graphql.new schema.graphql

seed: ## fill the configured database (SIZE=small|medium|large|huge RNG_SEED=1)
	cargo run --profile quick -- seed --size $(SIZE) --rng-seed $(RNG_SEED)

# A durable server, because without fsync the results would be too good.
bench: ## measure the ratio to plain endpoints and to a textbook server, on data of three shapes (release build)
	@trap '[ "$${KEEP_POSTGRES:-}" = 1 ] || scripts/test-teardown' EXIT; \
	scripts/test-setup durable; \
	export TEST_POSTGRES_URL="$$(cat target/test-postgres.url)"; \
	cargo bench --bench compare --bench load --bench live --bench verdicts && cargo bench --bench load -- volume

# scripts/test-setup compares the sources with the modification time of this folder.
web: ## build the web bundle: GraphiQL
	cd web && npm ci --no-audit --no-fund && npm run build && touch dist

ci: ## run the checks of the build machine: lint and test
	.ci/run
