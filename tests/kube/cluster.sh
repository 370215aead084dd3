# shellcheck shell=bash disable=SC2034
# Sourced by run.sh: a real API server with etcd, controllers and scheduler, hollow nodes, what is installed before the chart, and how
# things are asked and waited for.

HERE=$ROOT/tests/kube CHART=$ROOT/k8s/chart
B=${TENANTRY_KUBE_PORT_BASE:-18600}
NS=tenantry RELEASE=tenantry
own_instance=0 pids=() began=$SECONDS passed=0
mkdir -p "$RUN/tools/kubernetes"
W=$(mktemp -d "$RUN/tools/kubernetes/run.XXXXXX")

cleanup() {
  local rc=$? p
  trap - EXIT INT TERM
  [ "$rc" = 0 ] || { say "FAILED after $passed checks; last lines of what stands in for nodes and of the controllers:" && tail -n 5 "$W/hollow.log" "$W/controllers.log" 2>/dev/null | cut -c1-250; }
  # Backwards, one after the other: the API server waits for etcd when that goes first.
  for p in $(printf '%s\n' "${pids[@]}" | tac); do
    kill -TERM "$p" 2>/dev/null || continue
    await 15 gone "$p" || kill -KILL "$p" 2>/dev/null || true
  done
  [ "$own_instance" = 0 ] || "$DEV_DIR/down.sh" --instance kubetest >/dev/null || true
  if [ "$rc" = 0 ]; then rm -rf "$W"; else say "kept: $W"; fi
  exit "$rc"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

ok() { passed=$((passed + 1)) && printf '  ok  %-72s %4d s\n' "$*" $((SECONDS - began)); }
# until_true SECONDS WHAT COMMAND..: polls a condition twice a second.
until_true() {
  local n=$(($1 * 2)) what=$2
  shift 2
  while ! "$@" >/dev/null 2>&1; do
    n=$((n - 1)) && [ "$n" -gt 0 ] || die "never true: $what"
    sleep 0.5
  done
}
start() { # NAME COMMAND..
  local name=$1
  shift
  setsid "$@" </dev/null >"$W/$name.log" 2>&1 &
  pids+=($!)
}
k() { kubectl --kubeconfig "$W/kubeconfig" "$@"; }
h() { helm --kubeconfig "$W/kubeconfig" --namespace $NS "$@"; }
one() { k -n $NS get "$1" "$2" -o "jsonpath=$3"; }
pods_of() { k -n $NS get pods -l "app.kubernetes.io/component=$1" -o 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}' | sort; }
replicas_of() { one deployment "$RELEASE-$1" '{.status.readyReplicas}'; }
events() { python3 -c '
import json, sys
for line in open(sys.argv[1]):
    e = json.loads(line)
    print(e["n"], e["event"], e["component"])' "$W/events.jsonl"; }

tools() {
  "$DEV_DIR/tools.sh" --with-kube
  BIN=$("$HERE/build.sh")
  export PATH=$RUN/tools/kube/bin:$PATH HELM_CACHE_HOME=$W/helm HELM_CONFIG_HOME=$W/helm HELM_DATA_HOME=$W/helm KUBECACHEDIR=$W/cache
}
instance() {
  [ -z "${TENANTRY_WORLD:-}" ] || return 0
  own_instance=1
  local base=$((${TENANTRY_PORT_BASE:-8080} + 200))
  step "instance kubetest on $base: the metric is its gateway's"
  env -u TENANTRY_PORT_BASE "$DEV_DIR/up.sh" --instance kubetest --port-base $base --no-examples --fsync off >"$W/up.log" 2>&1 || die "no instance: $(tail -n 3 "$W/up.log")"
  TENANTRY_WORLD=$RUN/kubetest/world.json
}
of_world() { python3 -c 'import json,sys; print(eval(sys.argv[2], {"w": json.load(open(sys.argv[1]))}))' "$TENANTRY_WORLD" "$1"; }

cluster() {
  step "etcd, kube-apiserver, kube-controller-manager, kube-scheduler, three hollow nodes"
  openssl genrsa -out "$W/sa.key" 2048 2>/dev/null && openssl rsa -in "$W/sa.key" -pubout -out "$W/sa.pub" 2>/dev/null
  openssl rand -hex 24 >"$W/token"
  printf '%s,admin,admin,system:masters\n' "$(cat "$W/token")" >"$W/tokens.csv"
  cat >"$W/kubeconfig" <<C
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://127.0.0.1:$B", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: $(cat "$W/token")}}]
contexts: [{name: test, context: {cluster: test, user: admin}}]
current-context: test
C
  start etcd etcd --data-dir "$W/etcd" --listen-client-urls "http://127.0.0.1:$((B + 1))" --advertise-client-urls "http://127.0.0.1:$((B + 1))" \
    --listen-peer-urls "http://127.0.0.1:$((B + 2))" --initial-advertise-peer-urls "http://127.0.0.1:$((B + 2))" --initial-cluster "default=http://127.0.0.1:$((B + 2))"
  start apiserver "$BIN/kube-apiserver" --etcd-servers="http://127.0.0.1:$((B + 1))" --bind-address=127.0.0.1 --advertise-address=127.0.0.1 \
    --secure-port="$B" --cert-dir="$W/certs" --service-cluster-ip-range=10.96.0.0/16 --service-account-key-file="$W/sa.pub" \
    --service-account-signing-key-file="$W/sa.key" --service-account-issuer=https://kubernetes.default.svc \
    --authorization-mode=Node,RBAC --token-auth-file="$W/tokens.csv"
  until_true 90 "the API server is ready" k get --raw /readyz
  start controllers "$BIN/kube-controller-manager" --kubeconfig="$W/kubeconfig" --bind-address=127.0.0.1 --secure-port=$((B + 3)) --cert-dir="$W/certs" \
    --leader-elect=false --service-account-private-key-file="$W/sa.key" --use-service-account-credentials --controllers='*' \
    --horizontal-pod-autoscaler-sync-period=2s --horizontal-pod-autoscaler-downscale-stabilization=5s \
    --horizontal-pod-autoscaler-initial-readiness-delay=1s --horizontal-pod-autoscaler-cpu-initialization-period=1s
  start scheduler "$BIN/kube-scheduler" --kubeconfig="$W/kubeconfig" --bind-address=127.0.0.1 --secure-port=$((B + 4)) --leader-elect=false
  start hollow python3 -u "$HERE/hollow.py" --server "https://127.0.0.1:$B" --token-file "$W/token" --dir "$W" --port $((B + 5)) \
    --scrape "gateway=$(of_world 'w["admin_urls"]["gateway"]')/metrics"
  until_true 60 "three nodes are ready" nodes_ready
  ok "API server $(k version -o json | python3 -c 'import json,sys; print(json.load(sys.stdin)["serverVersion"]["gitVersion"])'), $(k get nodes --no-headers | wc -l) nodes"
}
nodes_ready() { [ "$(k get nodes --no-headers | grep -c ' Ready')" = 3 ]; }

prepare() {
  k create namespace $NS >/dev/null
  k label namespace $NS pod-security.kubernetes.io/enforce=restricted >/dev/null
  k apply -f "$HERE/crds.yaml" >/dev/null
  python3 "$ROOT/k8s/make-secrets.py" --plain --postgres db --redis cache --amqp broker "$W/made" >/dev/null
  k apply -f "$W/made/secrets.yaml" >/dev/null
  # where the volume of snapshots comes from
  k apply -f - >/dev/null <<'Y'
apiVersion: v1
kind: PersistentVolume
metadata: {name: snapshots}
spec:
  capacity: {storage: 20Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  hostPath: {path: /var/lib/tenantry}
Y
  until_true 60 "the definitions are served" k get servicemonitors,prometheusrules -A
  k wait --for=condition=Available apiservice/v1beta1.metrics.k8s.io apiservice/v1beta1.custom.metrics.k8s.io --timeout=60s >/dev/null
}
