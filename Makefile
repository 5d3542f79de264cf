# The menu of this project. Nothing here needs Docker or root, except that missing Debian packages are installed.
SHELL := /bin/bash
SERVER := integration/servers/server

.PHONY: menu demo test test-wasm bench size lint servers
menu:
	@echo 'make demo    copy a living shop database into Parquet files, kill the copier halfway, compare'
	@echo 'make test    install and start the servers that the tests need, run all tests'
	@echo 'make bench   measure speed and memory against the server'"'"'s own client; takes some minutes'
	@echo 'make size    time a clean release build and print the size of the stripped binary'
	@echo 'make lint    rustfmt and clippy, as CI runs them'
	@echo 'make servers only install the test servers (MySQL, MariaDB, S3, Kafka) into the cache'

demo:
	@integration/demo/demo

# Unit tests first: they are quick and say more. All of them run, and the worst result counts.
test: servers
	cargo build --workspace
	status=0; \
	cargo test --workspace --lib --bins --no-fail-fast || status=1; \
	cargo test --workspace --doc --no-fail-fast || status=1; \
	cargo test --workspace --test '*' --no-fail-fast || status=1; \
	$(MAKE) --no-print-directory test-wasm || status=1; \
	exit $$status

# The cargo feature that is no default: modules as functions, and how a pipeline file declares them.
test-wasm:
	cargo test -p cdc-transform --features wasm --test wasm
	cargo test -p cdc-cli --no-default-features --features wasm --lib definition

bench:
	cargo build --release --bin cdc-cli
	@python3 integration/bench/bench.py

# A clean build of the release binary beside the usual output: how long it takes and how large it is when stripped.
size:
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	begun=$$(date +%s) && cargo build --release --locked --bin cdc-cli --target-dir "$$folder" && \
	strip -o "$$folder/stripped" "$$folder/release/cdc-cli" && \
	echo "clean release build: $$(( $$(date +%s) - begun )) s on $$(nproc) cores (goal: 720 on two idle ones)" && \
	echo "stripped binary: $$(( $$(stat -c %s "$$folder/stripped") / 1048576 )) MiB (goal: 45 MB, which are 42 MiB)"

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

servers:
	@$(SERVER) install mysql mariadb s3 kafka registry readers
