#!/usr/bin/env bash
# run.sh: installs the chart into a real Kubernetes API server (1.20) with controllers, scheduler and etcd, and watches it work:
# migrations first, rollout, upgrade, rollback, disruption budget, autoscaling on our metric under real load, kubectl apply -k.
# Nodes are hollow (hollow.py): no container runs. The metric and the load are real, from an instance of ours: the one of
# TENANTRY_WORLD, else one that is started here. TENANTRY_KUBE_PORT_BASE (18600): six ports from there.
source "$(dirname "${BASH_SOURCE[0]}")/../../deploy/dev/lib.sh"
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
  accessModes: [ReadWriteMany]
  persistentVolumeReclaimPolicy: Retain
  hostPath: {path: /var/lib/tenantry}
Y
  until_true 60 "the definitions are served" k get servicemonitors,prometheusrules -A
  k wait --for=condition=Available apiservice/v1beta1.metrics.k8s.io apiservice/v1beta1.custom.metrics.k8s.io --timeout=60s >/dev/null
}

failing_migration() {
  step "a migration that fails stops the installation before a pod starts"
  echo migrate >"$W/fail"
  if h install $RELEASE "$CHART" -f "$HERE/values.yaml" --set migrations.backoffLimit=0 --wait --timeout 90s >"$W/helm-fail.log" 2>&1; then die "helm install went through with a failed migration"; fi
  [ "$(one job $RELEASE-migrate '{.status.failed}')" = 1 ] || die "it failed for another reason: $(cat "$W/helm-fail.log")"
  [ "$(k -n $NS get deployments --no-headers 2>/dev/null | wc -l)" = 0 ] || die "deployments were made although the migration failed"
  ok "helm install refused: $(tail -n 1 "$W/helm-fail.log" | cut -c1-160)"
  rm "$W/fail"
  h uninstall $RELEASE --wait >/dev/null 2>&1 || true
  : >"$W/events.jsonl"
}

install() {
  step "helm install"
  h install $RELEASE "$CHART" -f "$HERE/values.yaml" --wait --timeout 180s >"$W/install.log" 2>&1 || die "helm install: $(tail -n 5 "$W/install.log")"
  ok "helm install --wait: $(k -n $NS get deployments --no-headers | wc -l) deployments rolled out"
  local migrated first
  migrated=$(events | awk '$2 == "succeeded" && $3 == "migrate" {print $1; exit}')
  first=$(events | awk '$2 == "started" && $3 != "migrate" {print $1; exit}')
  [ -n "$migrated" ] && [ "$migrated" -lt "$first" ] || die "migration $migrated was not before the first pod $first: $(events | head -n 5)"
  ok "the migration Job succeeded (event $migrated) before the first pod started (event $first)"
  [ "$(one job $RELEASE-migrate '{.spec.template.spec.initContainers[*].name} {.spec.template.spec.containers[*].name}')" = "registry auth business backup monitoring" ] || die "order of migrations"
  ok "its containers: registry auth business backup monitoring, one after the other"
  [ "$(k -n $NS get networkpolicies --no-headers | wc -l)" = 9 ] || die "network policies: $(k -n $NS get networkpolicies)"
  k -n $NS get networkpolicy $RELEASE-default-deny >/dev/null
  ok "9 network policies, default deny among them"
  [ "$(k -n $NS get servicemonitors --no-headers | wc -l)" = 6 ] || die "service monitors"
  [ "$(k -n $NS get prometheusrules --no-headers | wc -l)" = "$(find "$ROOT/deploy/prometheus/rules" -name '*.yaml' | wc -l)" ] || die "rules: $(k -n $NS get prometheusrules)"
  ok "6 service monitors, $(k -n $NS get prometheusrules --no-headers | wc -l) rule objects, $(k -n $NS get configmaps -l grafana_dashboard=1 --no-headers | wc -l) dashboards"
  k -n $NS get endpoints $RELEASE-auth -o jsonpath='{.subsets[*].ports[*].port}' | tr ' ' '\n' | sort | paste -sd' ' | grep -qx '9000 9001' || die "endpoints of auth"
  ok "headless services carry the pods' addresses on 9000 and 9001"
}

# A change of one service's configuration rolls that service and no other; a rollback brings the old pods' checksum back.
upgrade() {
  step "helm upgrade and rollback"
  local before_b before_g sum
  until_true 60 "the first rollout is over" settled
  before_b=$(pods_of business) before_g=$(pods_of gateway) sum=$(one deployment $RELEASE-business '{.spec.template.metadata.annotations.checksum/config}')
  h upgrade $RELEASE "$CHART" -f "$HERE/values.yaml" --set services.business.config.data.pool_size=24 --wait --timeout 120s >"$W/upgrade.log" 2>&1 || die "helm upgrade: $(tail -n 5 "$W/upgrade.log")"
  until_true 60 "business was rolled" settled
  [ "$(one deployment $RELEASE-business '{.spec.template.metadata.annotations.checksum/config}')" != "$sum" ] || die "the checksum did not change"
  [ -z "$(comm -12 <(echo "$before_b") <(pods_of business))" ] || die "old pods of business are left"
  [ "$(pods_of gateway)" = "$before_g" ] || die "gateway was rolled too"
  ok "upgrade: new pods for business (changed), the same pods for gateway"
  one configmap $RELEASE-business '{.data.config\.toml}' | grep -q 'pool_size = 24' || die "the configuration does not say 24"
  [ "$(events | grep -c 'succeeded migrate')" = 2 ] || die "the migration did not run again: $(events | grep migrate)"
  ok "upgrade: the migration ran again, before"
  h rollback $RELEASE 1 --wait --timeout 120s >"$W/rollback.log" 2>&1 || die "helm rollback: $(tail -n 5 "$W/rollback.log")"
  until_true 60 "the rollback is over" settled
  [ "$(one deployment $RELEASE-business '{.spec.template.metadata.annotations.checksum/config}')" = "$sum" ] || die "rollback: another checksum"
  one configmap $RELEASE-business '{.data.config\.toml}' | grep -q 'pool_size = 16' || die "rollback: another configuration"
  [ "$(events | grep -c 'succeeded migrate')" = 2 ] || die "rollback ran a migration"
  ok "rollback: revision $(h history $RELEASE -o json | python3 -c 'import json,sys; print(json.load(sys.stdin)[-1]["revision"])') has the configuration of revision 1; no migration ran"
}
settled() {
  k -n $NS get deployments -o json | python3 -c '
import json, sys
for d in json.load(sys.stdin)["items"]:
    s, want = d["status"], d["spec"]["replicas"]
    ok = all(s.get(k, 0) == want for k in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")) and s["observedGeneration"] == d["metadata"]["generation"]
    ok or sys.exit(1)'
  local d
  for d in gateway registry auth business monitoring; do [ "$(pods_of $d | wc -l)" = "$(replicas_of $d)" ] && [ "$(replicas_of $d)" -ge 2 ] || return 1; done
}

evict() { # POD -> HTTP status
  printf '{"apiVersion":"policy/v1beta1","kind":"Eviction","metadata":{"name":"%s","namespace":"%s"}}' "$1" $NS |
    curl -sk -o /dev/null -w '%{http_code}' -H "authorization: Bearer $(cat "$W/token")" -H 'content-type: application/json' --data-binary @- \
      "https://127.0.0.1:$B/api/v1/namespaces/$NS/pods/$1/eviction"
}
budget_open() { [ "$(one poddisruptionbudget $RELEASE-auth '{.status.disruptionsAllowed}')" = 1 ]; }
budget_shut() { [ "$(one poddisruptionbudget $RELEASE-auth '{.status.disruptionsAllowed}')" = 0 ]; }
disruption() {
  step "the disruption budget"
  local first second
  until_true 60 "the budget of auth allows one" budget_open
  touch "$W/hold" # replacements start but do not become ready
  first=$(pods_of auth | head -n1) second=$(pods_of auth | tail -n1)
  [ "$(evict "$first")" = 201 ] || die "the first eviction was refused"
  until_true 30 "the budget is used up" budget_shut
  [ "$(evict "$second")" = 429 ] || die "the second eviction was not refused"
  rm "$W/hold"
  until_true 60 "the replacement is ready" budget_open
  [ "$(evict "$second")" = 201 ] || die "an eviction after recovery was refused"
  until_true 60 "auth is whole again" settled
  ok "evicting one of two pods of auth: 201; the other: 429 until the first is replaced, then 201"
}

gateway_wants() { test "$(one deployment $RELEASE-gateway '{.spec.replicas}')" "$1" "$2"; }
autoscale() {
  step "autoscaling of the gateway on tenantry_requests_per_second, measured at a running gateway"
  until_true 60 "the HPA reads the metric" hpa_reads
  local low high
  until_true 60 "the gateway is at its minimum" gateway_wants -eq 2
  low=$(one deployment $RELEASE-gateway '{.spec.replicas}')
  python3 "$HERE/load.py" "$TENANTRY_WORLD" 18 30 >"$W/load.out" 2>&1 &
  pids+=($!)
  local load=$! peak=0 now
  until_true 60 "more pods of the gateway" gateway_wants -gt 3
  while pid_runs "$load"; do
    now=$(replicas_of gateway) && [ "${now:-0}" -le "$peak" ] || peak=$now
    sleep 1
  done
  high=$(one hpa $RELEASE-gateway '{.metadata.annotations.autoscaling\.alpha\.kubernetes\.io/current-metrics}')
  say "      load: $(cat "$W/load.out") at 18/s, target 3/s a pod; the HPA saw: $(python3 -c '
import json, sys
print([m["pods"]["currentAverageValue"] for m in json.loads(sys.argv[1] or "[]") if m["type"] == "Pods"])' "$high")"
  [ "$peak" -ge 4 ] || die "only $peak pods under load"
  until_true 90 "the gateway is back at two" gateway_wants -eq 2
  until_true 60 "the surplus pods are gone" settled
  ok "gateway pods: $low -> $peak under load -> $(replicas_of gateway) after it"
  k -n $NS get events --field-selector reason=SuccessfulRescale -o 'jsonpath={range .items[*]}{.message}{"\n"}{end}' | sed 's/^/      /' | tail -n 6
}
hpa_reads() { one hpa $RELEASE-gateway '{.metadata.annotations.autoscaling\.alpha\.kubernetes\.io/current-metrics}' | grep -q tenantry_requests_per_second; }

helm_test() {
  step "helm test, and its script against the running instance"
  h test $RELEASE --timeout 60s >"$W/helmtest.log" 2>&1 || die "helm test: $(tail -n 3 "$W/helmtest.log")"
  ok "helm test starts its pod (hollow: nothing ran in it)"
  GATEWAY=$(of_world 'w["gateway_url"]') BASE_DOMAIN=localhost OPERATOR_HOST=operator.localhost OPERATOR_EMAIL=$(of_world 'w["operator"]["email"]') \
    OPERATOR_PASSWORD=$(of_world 'w["operator"]["password"]') sh "$CHART/files/test.sh" >"$W/test.out" 2>&1 || die "test.sh: $(cat "$W/test.out")"
  sed 's/^/      /' "$W/test.out"
  ok "the same script, run here against a real gateway"
}

# The real binaries read what the chart writes: 64 is the exit code of a refused configuration.
configs() {
  step "the rendered configurations, read by the real binaries"
  local s p dir rc
  dir=$(of_world 'w["bin_dir"]')
  for s in "${SERVICES[@]}"; do
    mkdir -p "$W/conf/$s" && chmod 700 "$W/conf/$s"
    python3 - "$W/made/secrets.yaml" "$s" "$W/conf/$s" <<'P'
import json, os, pathlib, sys
for text in pathlib.Path(sys.argv[1]).read_text().split("---\n"):
    secret = json.loads(text)
    if secret["metadata"]["name"] == f"tenantry-{sys.argv[2]}-secrets":
        for key, value in secret["stringData"].items():
            (pathlib.Path(sys.argv[3]) / key).write_text(value.replace("@db:5432", "@127.0.0.1:1").replace("@broker:5672", "@127.0.0.1:1").replace("@cache:6379", "@127.0.0.1:1"))
P
    for p in run migrate; do
      if [ $p = run ]; then one configmap "$RELEASE-$s" '{.data.config\.toml}' >"$W/conf/$s.$p.toml"; else
        [ "$s" != gateway ] || continue
        one configmap "$RELEASE-migrate" "{.data.$s\.toml}" >"$W/conf/$s.$p.toml"
      fi
      # no database there: run waits for it until it is stopped, migrate fails; both only after the configuration was accepted
      sed -i "s#/etc/tenantry/secrets#$W/conf/$s#; s#0\.0\.0\.0:[0-9]*#127.0.0.1:0#; s#/var/lib/tenantry#$W/conf#" "$W/conf/$s.$p.toml"
      rc=0
      timeout 3 "$dir/tenantry-$s" $p --config "$W/conf/$s.$p.toml" >"$W/conf/$s.$p.log" 2>&1 || rc=$?
      [ "$rc" != 64 ] || die "$s $p refuses its configuration: $(cat "$W/conf/$s.$p.log")"
    done
  done
  printf 'no_such_key = 1\n%s\n' "$(cat "$W/conf/auth.run.toml")" >"$W/conf/wrong.toml"
  rc=0 && timeout 3 "$dir/tenantry-auth" run --config "$W/conf/wrong.toml" >/dev/null 2>&1 || rc=$?
  [ "$rc" = 64 ] || die "a wrong key was accepted ($rc)"
  ok "11 configurations accepted by the binaries; one with an unknown key refused (64)"
}

kustomize() {
  step "helm uninstall, then kubectl apply -k"
  h uninstall $RELEASE --wait --timeout 90s >"$W/uninstall.log" 2>&1 || die "helm uninstall: $(tail -n 3 "$W/uninstall.log")"
  until_true 60 "no pod is left" no_pods
  ok "helm uninstall: no pod left; the claim of the snapshots stays: $(k -n $NS get pvc --no-headers | awk '{print $1, $2}')"
  k -n $NS delete jobs,pods,configmaps -l 'app.kubernetes.io/component in (migrate, test)' --wait >/dev/null # Helm leaves what its hooks made
  k apply -k "$HERE/overlay" >"$W/kustomize.log" 2>&1 || die "kubectl apply -k: $(tail -n 5 "$W/kustomize.log")"
  until_true 120 "every deployment of the base is up" settled
  [ "$(k -n $NS get jobs --no-headers | awk '{print $2}')" = 1/1 ] || die "migration job: $(k -n $NS get jobs)"
  ok "kubectl apply -k: $(k -n $NS get deployments --no-headers | wc -l) deployments up, migration Job $(k -n $NS get jobs --no-headers | awk '{print $1, $2}')"
  local before ran
  before=$(pods_of auth) ran=$(events | grep -c 'succeeded migrate')
  k apply -k "$HERE/overlay" >"$W/kustomize2.log" 2>&1 || die "second apply: $(tail -n 3 "$W/kustomize2.log")"
  # This old server stores HPAs and Jobs a little differently from what it is told: they are "configured" each time.
  ! grep -vE ' unchanged$|^Warning|^horizontalpodautoscaler.* configured$|^job.* configured$' "$W/kustomize2.log" || die "a second apply changed something"
  [ "$(pods_of auth)" = "$before" ] && [ "$(events | grep -c 'succeeded migrate')" = "$ran" ] || die "a second apply replaced pods or ran the migration again"
  ok "applied again: nothing changed, the same pods"
}
no_pods() { [ "$(k -n $NS get pods -l app.kubernetes.io/part-of=tenantry --field-selector=status.phase=Running --no-headers 2>/dev/null | wc -l)" = 0 ]; }

step "tools"
tools
instance
cluster
prepare
failing_migration
install
upgrade
disruption
autoscale
helm_test
configs
kustomize
say "$passed checks in $((SECONDS - began)) s"
