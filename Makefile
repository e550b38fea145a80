# Roster's everyday commands. `make` alone lists them.

# A program for SQLite alone builds fast.
QUICK := --no-default-features --features sqlite

# PostgreSQL support takes minutes to build, mostly for OpenSSL. `make run` builds it only if DATABASE_URL names
# PostgreSQL, and without optimisation, so that the first start is fast. `make build` builds the binary to deploy.
ifneq (,$(filter postgres://% postgresql://%,$(value DATABASE_URL)))
run: TOOLS := cc perl
else
run: FEATURES := $(QUICK)
run: TOOLS := cc
endif

# The Debian packages of those TOOLS that the machine lacks. The tests start their own PostgreSQL server from the
# installed binaries; they do not use the service that the package may start.
TOOLS := cc perl postgresql curl python3
build: TOOLS := cc perl
bench bench-quick bench-growth: TOOLS += pgbench wrk
faults: TOOLS += pgbouncer
test-clients: TOOLS += venv node npm
test-browser screenshots: TOOLS += chromium node npm
fuzz: TOOLS += venv
lacking-cc = $(if $(shell command -v cc),,gcc libc6-dev)
lacking-perl = $(if $(shell perl -MFindBin -MIPC::Cmd -e 'print 1' 2>/dev/null),,perl)
lacking-postgresql = $(if $(wildcard /usr/lib/postgresql/*/bin/initdb)$(shell command -v initdb),,postgresql)
lacking-pgbench = $(if $(shell command -v pgbench),,postgresql)
lacking-pgbouncer = $(if $(shell command -v pgbouncer)$(wildcard /usr/sbin/pgbouncer),,pgbouncer)
lacking-python3 = $(if $(shell command -v python3),,python3)
lacking-venv = $(if $(shell python3 -c 'import ensurepip, venv; print(1)' 2>/dev/null),,python3 python3-venv)
lacking-node = $(if $(shell command -v node),,nodejs)
lacking-npm = $(if $(shell command -v npm),,npm)
lacking-chromium = $(if $(shell command -v chromedriver),,chromium chromium-driver)
lacking-curl = $(if $(shell command -v curl),,curl)
lacking-wrk = $(if $(shell command -v wrk),,wrk)
PACKAGES = $(strip $(foreach tool,$(TOOLS),$(lacking-$(tool))))
TARGET = $(abspath $(or $(CARGO_TARGET_DIR),target))
STATEMENTS = $(TARGET)/statements
CLIENTS = $(TARGET)/clients
AXE = $(TARGET)/axe
SCHEMATHESIS = $(TARGET)/schemathesis
SUDO = $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: help run test test-clients test-browser screenshots fuzz faults openapi lint build bench bench-quick bench-growth \
	bench-micro clean-data tools clients axe schemathesis

help: ## List the commands
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

run: export ROSTER__TELEMETRY__METRICS_BIND ?= 127.0.0.1:9464
run: tools ## Build, migrate and serve on 127.0.0.1:8080, with data/roster.db or the PostgreSQL of DATABASE_URL
	@exec cargo run $(FEATURES) -- serve --demo

test: tools ## Run every test, on every store; installs PostgreSQL if it is missing
	cargo test --workspace --doc
	rm -rf '$(STATEMENTS)'
	ROSTER_REQUIRE_POSTGRES=1 ROSTER_BINARY='$(TARGET)/debug/roster' ROSTER_STATEMENT_LOG='$(STATEMENTS)' \
		cargo test --workspace --all-targets
	ROSTER_STATEMENT_LOG='$(STATEMENTS)' cargo test --workspace --test statements -- --ignored

# One by one: the programs are short, and print how much of each library passed.
test-clients: tools clients ## Run the vendors' own client libraries against the program, on both databases; installs them
	ROSTER_REQUIRE_POSTGRES=1 ROSTER_CLIENTS='$(CLIENTS)' \
		cargo test --package roster-tests --test clients -- --ignored --nocapture --test-threads=1

SCREENSHOT =
BROWSER = ROSTER_REQUIRE_POSTGRES=1 ROSTER_AXE='$(AXE)/node_modules/axe-core/axe.min.js' \
	cargo test --package roster-tests --test browser -- --ignored --test-threads=1
test-browser: tools axe ## Try the console and the API page in headless Chromium, which it installs; SCREENSHOT=FILE keeps a picture
	ROSTER_SCREENSHOT='$(abspath $(SCREENSHOT))' $(BROWSER)

screenshots: tools axe ## Write the pictures of the console that are committed, into docs/console
	ROSTER_SCREENSHOTS='$(CURDIR)/docs/console' $(BROWSER) pictures

EXAMPLES = 100
fuzz: tools schemathesis ## Try EXAMPLES=100 generated requests and more for each operation, on both databases; installs Schemathesis
	ROSTER_REQUIRE_POSTGRES=1 ROSTER_SCHEMATHESIS='$(SCHEMATHESIS)/bin/schemathesis' ROSTER_FUZZ_EXAMPLES=$(EXAMPLES) \
		cargo test --package roster-tests --test fuzz -- --ignored --nocapture --test-threads=1

# One by one: each of them keeps both the service and its database busy.
faults: tools ## Run the tests of faults that are too slow for `make test`; installs PgBouncer too
	ROSTER_REQUIRE_POSTGRES=1 cargo test --package roster-tests --test faults --test roster -- \
		--ignored --test-threads=1

openapi: tools ## Write the OpenAPI documents that are committed, from the code
	cargo build --package roster-server $(QUICK)
	for api in native lumen lava admin; do \
		'$(TARGET)/debug/roster' openapi $$api > '$(TARGET)/openapi.json' && \
		mv '$(TARGET)/openapi.json' crates/http/src/surfaces/$$api/openapi.json || exit 1; done

lint: tools ## Check formatting, plain words, lints, licences and documentation
	cargo fmt --all --check
	.ci/plain-words
	$(if $(shell command -v cargo-deny),cargo deny --offline check licenses bans sources)
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --package roster-server --no-default-features --features sqlite --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items

PROFILE = release
build: tools ## Build target/release/roster, with both databases; PROFILE=dist: target/dist/roster, smaller and faster
	cargo build --locked --profile $(PROFILE) --package roster-server
	.ci/no-build-paths '$(TARGET)/$(PROFILE)/roster'

# A binary to hand out has no path of this machine in it. rustc writes other prefixes into messages; the last that fits
# wins. (Cargo's trim-paths would do that, but is unstable.) OpenSSL is told the folder of its configuration in the place
# of those in the target folder, from which it would load engines and modules.
DISTRIBUTED = build bench bench-quick bench-growth bench-micro
$(DISTRIBUTED): export RUSTFLAGS += --remap-path-prefix=$(HOME)=home \
	--remap-path-prefix=$(or $(RUSTUP_HOME),$(HOME)/.rustup)=rustup \
	--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=cargo --remap-path-prefix=$(CURDIR)=roster
$(DISTRIBUTED): export CFLAGS += -DENGINESDIR=OPENSSLDIR -DMODULESDIR=OPENSSLDIR

# The benchmarks run the deployed build. Their databases are in /var/tmp, because /tmp may be in memory, not on a disk.
BENCH = cargo build --profile dist --package roster-server && \
	TMPDIR=$${TMPDIR:-/var/tmp} cargo run --profile dist --package roster-bench -- --roster $(TARGET)/dist/roster

bench: tools ## Measure requests beside pgbench, import and export beside COPY; writes docs/benchmarks
	$(BENCH) --output docs/benchmarks throughput
	$(BENCH) --output docs/benchmarks transfer

bench-quick: tools ## The same in six minutes, roughly; writes target/bench
	$(BENCH) --output $(TARGET)/bench --quick throughput
	$(BENCH) --output $(TARGET)/bench --quick transfer

bench-growth: tools ## Measure what requests cost at up to 5 million customers; writes docs/benchmarks/growth.md
	$(BENCH) --output docs/benchmarks growth

bench-micro: tools ## Measure what every request costs without a database
	cargo bench --profile dist --package roster-bench --bench request

clean-data: ## Delete data/, the SQLite file of `make run`
	rm -rf data

tools:
	$(if $(PACKAGES),$(SUDO) apt-get update && $(SUDO) env DEBIAN_FRONTEND=noninteractive \
		apt-get install --yes --no-install-recommends $(PACKAGES))

# The client libraries, in exactly the versions of tests/clients. They are installed again when these files change; the marker
# is made last, so that an installation that was interrupted starts again. It is a target of its own, not a file's, because the
# tools have to be there before.
clients: tools
	@cat tests/clients/requirements.txt tests/clients/package-lock.json | cmp --silent - '$(CLIENTS)/installed' || { \
		rm -rf '$(CLIENTS)' && mkdir -p '$(CLIENTS)' && \
		python3 -m venv '$(CLIENTS)/python' && \
		'$(CLIENTS)/python/bin/pip' install --quiet --disable-pip-version-check --no-deps \
			--requirement tests/clients/requirements.txt && \
		cp tests/clients/package.json tests/clients/package-lock.json '$(CLIENTS)' && \
		npm ci --prefix '$(CLIENTS)' --no-audit --no-fund --ignore-scripts && \
		cat tests/clients/requirements.txt tests/clients/package-lock.json > '$(CLIENTS)/installed'; }

# The same for axe-core, in exactly the version of tests/accessibility.
axe: tools
	@cmp --silent tests/accessibility/package-lock.json '$(AXE)/installed' || { \
		rm -rf '$(AXE)' && mkdir -p '$(AXE)' && \
		cp tests/accessibility/package.json tests/accessibility/package-lock.json '$(AXE)' && \
		npm ci --prefix '$(AXE)' --no-audit --no-fund --ignore-scripts && \
		cp tests/accessibility/package-lock.json '$(AXE)/installed'; }

# The same for Schemathesis, in exactly the versions of tests/fuzz.
schemathesis: tools
	@cmp --silent tests/fuzz/requirements.txt '$(SCHEMATHESIS)/installed' || { \
		rm -rf '$(SCHEMATHESIS)' && \
		python3 -m venv '$(SCHEMATHESIS)' && \
		'$(SCHEMATHESIS)/bin/pip' install --quiet --disable-pip-version-check --no-deps \
			--requirement tests/fuzz/requirements.txt && \
		cp tests/fuzz/requirements.txt '$(SCHEMATHESIS)/installed'; }
