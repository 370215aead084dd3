# Thin on purpose: every target is one script in deploy/dev or one tool. `make help` lists them.
# TENANTRY_PORT_BASE (8080) moves the whole range of ports; TENANTRY_INSTANCE (dev) names a second environment.
.DEFAULT_GOAL := help
.PHONY: check-kube test-kube help up down status restart test test-full bench check fmt ci proto-baseline
DEV := deploy/dev
export PATH := $(CURDIR)/.run/tools/bin:$(CURDIR)/.run/tools/node_modules/.bin:$(PATH):$(CURDIR)/.run/tools/venv/bin

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  settings: TENANTRY_PORT_BASE (8080), TENANTRY_INSTANCE (dev), PROFILE (debug or release)"

up: ## install what is missing, start servers, build, migrate, start services, load the examples
	@$(DEV)/up.sh $(if $(PROFILE),--profile $(PROFILE))

down: ## stop everything of this instance and remove its data
	@$(DEV)/down.sh

status: ## what runs
	@$(DEV)/status.sh

restart: ## rebuild, migrate and restart the services; servers and data stay
	@$(DEV)/services.sh build && $(DEV)/services.sh configure && $(DEV)/services.sh migrate && $(DEV)/services.sh restart

test: ## every test, on a fresh instance of its own
	@$(DEV)/test.sh

test-full: ## the same with the slow ones
	@TENANTRY_FULL=1 $(DEV)/test.sh

bench: ## measure a release build on an instance of its own
	@$(DEV)/bench.sh

check: ## format, clippy, scripts: the quick part of .ci/run
	@.ci/run --quick

check-kube: ## the Helm chart and the manifests: lint, schema, goldens, policy
	@k8s/check.sh

test-kube: ## the chart in a real Kubernetes API server with hollow nodes (first time: builds it, 6 CPU minutes)
	@tests/kube/run.sh

fmt: ## format Rust and protos
	@cargo fmt && buf format -w --exclude-path proto/google

ci: ## what a merge must pass
	@.ci/run

proto-baseline: ## accept the current protos as the contract that buf breaking compares with
	@buf build -o proto/baseline.binpb
