# shellcheck shell=bash
# Which Kubernetes is meant, and the way to the scripts of its kind; sourced by the scripts beside it.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() { echo "kubernetes: $*" >&2; exit 1; }

docker_runs() { command -v docker >/dev/null && docker info >/dev/null 2>&1; }

# given: one that KUBECONFIG names. kind: nodes as Docker containers. local: nodes as network namespaces, without Docker.
# The answer needs no memory of what was started, so every script finds the same.
kind_of_cluster() {
  if [ -n "${BARNABAS_E2E_KUBERNETES:-}" ]; then
    echo "$BARNABAS_E2E_KUBERNETES"
  elif [ -n "${KUBECONFIG:-}" ]; then
    kind_by_kubeconfig
  elif docker_runs && command -v kind >/dev/null; then
    echo kind
  elif [ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ]; then
    echo local
  else
    fail "no Kubernetes: set KUBECONFIG, or start Docker and install kind, or be root on Linux"
  fi
}

# A KUBECONFIG that one of these scripts wrote names the cluster that it made.
kind_by_kubeconfig() {
  local kind
  for kind in local kind; do
    if [ "$("$HERE/$kind/env" | sed -n 's/^export KUBECONFIG=//p')" = "$KUBECONFIG" ]; then
      echo "$kind"
      return
    fi
  done
  echo given
}

# of_cluster SCRIPT ARGUMENTS...: runs the script of this name that belongs to the kind of cluster.
of_cluster() {
  local kind script=$1
  shift
  kind=$(kind_of_cluster)
  [ -x "$HERE/$kind/$script" ] || fail "$script cannot be done with a cluster that is $kind"
  "$HERE/$kind/$script" "$@"
}
