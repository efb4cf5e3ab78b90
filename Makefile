.DEFAULT_GOAL := help
.PHONY: help run cluster setup nextest test faults simulate bench fuzz crds up down e2e

help: ## This list
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):.*## (.*)/make \1\t\2/' | expand -t 14

run: ## Build the broker (release) and run it on localhost:9092, with its data under ./data
	cargo build --release -p barnabas
	target/release/barnabas --override log.dirs=./data

cluster: ## Build the broker (release) and run three of them on localhost:9092 to 9094, with their data under ./data/cluster
	cargo build --release -p barnabas
	broker/scripts/cluster

up: ## A Kubernetes on this machine with the operator, a small cluster and a topic; says how to produce and consume
	KEEP=1 e2e/images e2e/quickstart

down: ## End what `make up` started
	e2e/kubernetes/down

e2e: nextest ## All scenarios on a real Kubernetes: that of KUBECONFIG, kind, or one made here
	e2e/images e2e/run all

crds: ## Write crds/ anew from operator/src/crd
	cargo run -q -p barnabas-operator --bin crdgen
	cp crds/kafka*.yaml charts/barnabas-operator/files/crds/

setup: ## Install what the tests need: Kafka's jars, and clients in Java, Go, Python and JavaScript
	broker/tests/clients/setup

nextest:
	cargo nextest --version >/dev/null 2>&1 || cargo install --locked --quiet cargo-nextest

test: setup ## Check the format, run clippy and all tests, those with real clients and a short run on Kubernetes included
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features barnabas-e2e/e2e -- -D warnings
	cargo nextest run --workspace
	cargo test --workspace --doc --quiet
	charts/check
	e2e/images e2e/run short

faults: setup ## Clusters of real processes with every fault again and again, for an hour or so; as root, to cut links
	BARNABAS_FAULTS_LONG=1 cargo nextest run -p barnabas --test it -E 'test(/^cluster::/)'

SEEDS ?= 10000
simulate: ## Run SEEDS=n histories of whole clusters, each with other faults
	CARGO_PROFILE_RELEASE_LTO=off SIMULATE_SEEDS=$(SEEDS) cargo test --release -p barnabas --lib cluster::clusters -- --nocapture

bench: setup ## Compare with Apache Kafka on this machine
	cargo bench -p barnabas --bench kafka

fuzz: ## Fuzz the decoders, a minute each (needs a nightly Rust)
	broker/fuzz/run
