# The menu of this project. Nothing here needs Docker or root, except that missing Debian packages are installed.
SHELL := /bin/bash
SERVER := integration/servers/server

.PHONY: menu demo test bench lint servers
menu:
	@echo 'make demo    copy a living shop database into Parquet files, kill the copier halfway, compare'
	@echo 'make test    install and start the servers that the tests need, run all tests'
	@echo 'make bench   measure speed and memory against the server'"'"'s own client; takes some minutes'
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
	exit $$status

bench:
	cargo build --release --bin cdc-cli
	@python3 integration/bench/bench.py

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

servers:
	@$(SERVER) install mysql mariadb s3 kafka registry readers
