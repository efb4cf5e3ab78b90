# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts beside it
# The cluster in Docker containers; sourced by the scripts beside it.
set -euo pipefail
: "${BARNABAS_KUBERNETES_CACHE:=$HOME/.cache/barnabas-kubernetes}"
: "${BARNABAS_KIND_CLUSTER:=barnabas}"
KIND_SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export KUBECONFIG=$BARNABAS_KUBERNETES_CACHE/kind-$BARNABAS_KIND_CLUSTER.kubeconfig

fail() { echo "kubernetes: $*" >&2; exit 1; }

# wait_for SECONDS WHAT COMMAND...: until COMMAND succeeds.
wait_for() {
  local limit=$1 what=$2 end
  shift 2
  end=$((SECONDS + limit))
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || fail "$what did not happen within ${limit}s"
    sleep 0.1
  done
}

# Only containers of this cluster are touched, whatever a test names.
check_node() {
  kind get nodes --name "$BARNABAS_KIND_CLUSTER" 2>/dev/null | grep -qxF "$1" || fail "$1 is no node of kind's cluster $BARNABAS_KIND_CLUSTER"
}
