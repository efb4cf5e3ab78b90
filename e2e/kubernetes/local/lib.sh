# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by the scripts beside it
# Where everything of the local Kubernetes lives, and how its processes are started and found; sourced by the scripts
# beside it. What is set here by `:=` may be set by the environment, so that two clusters fit on one machine.
set -euo pipefail

# What was built stays in the cache; the state of a cluster is gone after `down`.
: "${BARNABAS_KUBERNETES_CACHE:=$HOME/.cache/barnabas-kubernetes}"
: "${BARNABAS_KUBERNETES_RUN:=/run/barnabas-kubernetes}"
: "${BARNABAS_KUBERNETES_DATA:=/var/lib/barnabas-kubernetes}"
# The bridge between the nodes; network namespaces, links and control groups are named after it (10 characters at most).
: "${BARNABAS_KUBERNETES_BRIDGE:=barnabas0}"
# The first two numbers of all addresses: nodes, services and pods share this one /16.
: "${BARNABAS_KUBERNETES_NETWORK:=10.210}"

LOCAL=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
KUBE_VERSION=1.34.4
HELM_VERSION=v3.22.0
COREDNS_VERSION=v1.12.4
RUN=$BARNABAS_KUBERNETES_RUN
DATA=$BARNABAS_KUBERNETES_DATA
BRIDGE=$BARNABAS_KUBERNETES_BRIDGE
BIN=$BARNABAS_KUBERNETES_CACHE/$KUBE_VERSION
HOST_IP=$BARNABAS_KUBERNETES_NETWORK.0.1                  # API server and DNS listen here
LOOPBACK=127.${BARNABAS_KUBERNETES_NETWORK#*.}.0.1        # what only this machine may reach listens here
SERVICES=$BARNABAS_KUBERNETES_NETWORK.64.0/18
API_SERVICE=$BARNABAS_KUBERNETES_NETWORK.64.1             # the first of them, which the API server takes
PODS=$BARNABAS_KUBERNETES_NETWORK.128.0/17
CONTROL_GROUPS=/sys/fs/cgroup
CONTROLLERS=(cpu cpuacct cpuset memory devices freezer blkio pids systemd hugetlb unified)
export KUBECONFIG=$RUN/kubeconfig

say() { echo "kubernetes: $*" >&2; }
fail() { say "$*"; exit 1; }

node_address() { echo "$BARNABAS_KUBERNETES_NETWORK.0.$((10 + $1))"; }
node_pods() { echo "$BARNABAS_KUBERNETES_NETWORK.$((128 + $1)).0/24"; }
zone() { local letters=abcdefghi; echo "${letters:$1-1:1}"; }

# The numbers of the nodes that this cluster has, those that are down included.
node_numbers() {
  local directory
  for directory in "$RUN"/nodes/node-*; do
    [ -d "$directory" ] && echo "${directory##*node-}"
  done | sort -n
}

# alone ARGUMENTS...: starts the script again once nobody else starts or ends this cluster. What the script starts does not
# hold the lock.
alone() {
  [ -z "${BARNABAS_KUBERNETES_ALONE:-}" ] || return 0
  BARNABAS_KUBERNETES_ALONE=1 exec flock --close "$RUN.lock" "$0" "$@"
}

# The number in `node-2` or `2`, of a node that exists.
node_number() {
  local number=${1#node-}
  [ -d "$RUN/nodes/node-$number" ] || fail "there is no node $1; nodes: $(node_numbers | sed 's/^/node-/' | xargs)"
  echo "$number"
}

# Every process carries this in its environment, and its children inherit it: so they are found again after any crash,
# and nothing else is ever taken for one of them.
MARK=BARNABAS_KUBERNETES_PROCESS

# start OWNER NAME COMMAND...: in the background, logged to $RUN/log/NAME.log, as a process of OWNER (cluster, node-1).
start() {
  local owner=$1 name=$2
  shift 2
  setsid env "$MARK=$RUN/$owner" "$@" >>"$RUN/log/$name.log" 2>&1 </dev/null &
}

# processes OWNER: the processes of OWNER that are not yet zombies.
processes() {
  { grep -lszxF "$MARK=$RUN/$1" /proc/[0-9]*/environ || true; } | cut -d/ -f3
}

runs() { [ -n "$(processes "$1")" ]; }

end_processes() {
  local pid
  for pid in $(processes "$1"); do kill -9 "$pid" 2>/dev/null || true; done
}

# wait_for SECONDS WHAT COMMAND...: until COMMAND succeeds.
wait_for() {
  local limit=$1 what=$2 end
  shift 2
  end=$((SECONDS + limit))
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || fail "$what did not happen within ${limit}s; logs: $RUN/log"
    sleep 0.1
  done
}

api_is_ready() { [ -e "$KUBECONFIG" ] && "$BIN/kubectl" get --raw /readyz --request-timeout=5s >/dev/null 2>&1; }

# Every directory of node N among the control groups: one for each controller (version 1), or one for all (version 2).
node_control_groups() {
  local controller
  if [ -e "$CONTROL_GROUPS/cgroup.controllers" ]; then
    echo "$CONTROL_GROUPS/$BRIDGE-node-$1"
    return
  fi
  for controller in "${CONTROLLERS[@]}"; do
    [ ! -d "$CONTROL_GROUPS/$controller" ] || echo "$CONTROL_GROUPS/$controller/$BRIDGE-node-$1"
  done
}

# The processes in the containers of node N, by the host's ids.
container_processes() {
  local groups
  groups=$(node_control_groups "$1" | grep -E '/pids/|^[^/]*/sys/fs/cgroup/[^/]+$' || true)
  [ -z "$groups" ] || find "$groups" -name cgroup.procs -exec cat {} + 2>/dev/null || true
}

has_no_containers() { [ -z "$(container_processes "$1")" ]; }

# Whatever is mounted below a directory, the innermost first.
unmount_below() {
  awk -v below="$1/" 'index($2, below) == 1 { print $2 }' /proc/mounts | sort -r | while read -r place; do
    umount -l "$place" 2>/dev/null || true
  done
}

# The addresses of services are reached from this machine by way of one node that is up: its kube-proxy translates them.
route_services() {
  local number
  for number in $(node_numbers); do
    if runs "node-$number"; then
      ip route replace "$SERVICES" via "$(node_address "$number")"
      return
    fi
  done
}
