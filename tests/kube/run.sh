#!/usr/bin/env bash
# run.sh: installs the chart into a real Kubernetes API server (1.20) with controllers, scheduler and etcd, and watches it work:
# migrations first, rollout, upgrade, rollback, disruption budget, autoscaling on our metric under real load, kubectl apply -k.
# Nodes are hollow (hollow.py): no container runs. The metric and the load are real, from an instance of ours: the one of
# TENANTRY_WORLD, else one that is started here. TENANTRY_KUBE_PORT_BASE (18600): six ports from there.
source "$(dirname "${BASH_SOURCE[0]}")/../../deploy/dev/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"

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
  ok "the migration Job succeeded before the first pod started: $(migrated_first)"
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
  [ "$(k -n $NS get hpa -o json | python3 -c 'import json,sys; print(sum("tenantry_requests_per_second" in json.dumps(h) for h in json.load(sys.stdin)["items"]))')" = 5 ] || die "the HPAs do not ask for our metric, which this cluster serves"
  ok "5 HPAs ask for our metric: Helm found custom.metrics.k8s.io"
}
# Of what happened since events.jsonl was emptied.
migrated_first() {
  local migrated first
  migrated=$(events | awk '$2 == "succeeded" && $3 == "migrate" {print $1; exit}')
  first=$(events | awk '$2 == "started" && $3 != "migrate" {print $1; exit}')
  [ -n "$migrated" ] && [ -n "$first" ] && [ "$migrated" -lt "$first" ] || die "migration ${migrated:-(none)} was not before the first pod ${first:-(none)}: $(events | head -n 5)"
  echo "events $migrated and $first"
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
  ok "upgrade: the migration ran again"

  local pods
  pods=$(all_pods)
  echo migrate >"$W/fail"
  if h upgrade $RELEASE "$CHART" -f "$HERE/values.yaml" --set image.tag=0.2.0,migrations.backoffLimit=0 --wait --timeout 90s >"$W/upgrade-fail.log" 2>&1; then die "helm upgrade went through with a failed migration"; fi
  rm "$W/fail"
  [ "$(one job $RELEASE-migrate '{.status.failed}')" = 1 ] || die "it failed for another reason: $(cat "$W/upgrade-fail.log")"
  [ "$(all_pods)" = "$pods" ] && [ "$(tags)" = 0.1.0 ] || die "pods or images changed although the migration failed: $(tags) $(all_pods)"
  one configmap $RELEASE-business '{.data.config\.toml}' | grep -q 'pool_size = 24' || die "the configuration changed although the migration failed"
  ok "upgrade to another tag, its migration fails: $(wc -l <<<"$pods") old pods stay, with their image and configuration"

  : >"$W/events.jsonl"
  h upgrade $RELEASE "$CHART" -f "$HERE/values.yaml" --set image.tag=0.2.0 --wait --timeout 120s >"$W/upgrade2.log" 2>&1 || die "helm upgrade: $(tail -n 5 "$W/upgrade2.log")"
  until_true 60 "every service was rolled" settled
  [ "$(tags)" = 0.2.0 ] && [ -z "$(comm -12 <(echo "$pods") <(all_pods))" ] || die "old pods or images are left: $(tags) $(all_pods)"
  [ "$(one job $RELEASE-migrate '{.spec.template.spec.containers[0].image}')" = tenantry-monitoring:0.2.0 ] || die "the migration has another image"
  ok "the same upgrade again: new pods everywhere, after a migration with the new image: $(migrated_first)"

  h rollback $RELEASE 1 --wait --timeout 120s >"$W/rollback.log" 2>&1 || die "helm rollback: $(tail -n 5 "$W/rollback.log")"
  until_true 60 "the rollback is over" settled
  [ "$(one deployment $RELEASE-business '{.spec.template.metadata.annotations.checksum/config}')" = "$sum" ] || die "rollback: another checksum"
  one configmap $RELEASE-business '{.data.config\.toml}' | grep -q 'pool_size = 16' || die "rollback: another configuration"
  [ "$(tags)" = 0.1.0 ] || die "rollback: images $(tags)"
  [ "$(events | grep -c 'succeeded migrate')" = 1 ] || die "rollback ran a migration"
  ok "rollback: revision $(h history $RELEASE -o json | python3 -c 'import json,sys; print(json.load(sys.stdin)[-1]["revision"])') has the configuration and the images of revision 1; no migration ran"
}
all_pods() { k -n $NS get pods -l app.kubernetes.io/part-of=tenantry --field-selector=status.phase=Running -o 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}' | sort; }
tags() { k -n $NS get deployments -o 'jsonpath={range .items[*]}{.spec.template.spec.containers[0].image}{"\n"}{end}' | sed 's/.*://' | sort -u; }
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

# What the chart writes, read by the real binaries: for a trial as installed here, and as for production, where every connection must
# be encrypted.
configs() {
  step "the rendered configurations, read by the real binaries"
  local bin
  bin=$(of_world 'w["bin_dir"]')
  k -n $NS get configmaps -o yaml >"$W/trial.yaml"
  "$HERE/configs.py" "$W/trial.yaml" "$W/made/secrets.yaml" "$bin" "$W/trial" --wrong >"$W/configs.log" || die "dev=true: $(cat "$W/configs.log")"
  ok "dev=true: $(cat "$W/configs.log")"
  python3 "$ROOT/k8s/make-secrets.py" --postgres db --redis cache --amqp broker "$W/sealed" >/dev/null
  local f
  for f in "$CHART/values.yaml" "$ROOT/k8s/values/cloud.yaml"; do
    h template $RELEASE "$CHART" -f "$f" >"$W/sealed.yaml"
    "$HERE/configs.py" "$W/sealed.yaml" "$W/sealed/secrets.yaml" "$bin" "$W/$(basename "$f" .yaml)" >"$W/configs.log" || die "dev=false, $(basename "$f"): $(cat "$W/configs.log")"
    ok "dev=false, $(basename "$f"): $(cat "$W/configs.log")"
  done
}

# Roles and databases need a superuser; a managed server's strongest login is told so before anything is changed.
bootstrap() {
  step "bootstrap.sql as a login that may only make roles and databases"
  local password
  pg_find || die "psql is not there"
  password=$(openssl rand -hex 12)
  sql() { PGPASSWORD=$1 "$PG_BIN/psql" -Xq -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$(of_world 'w["ports"]["postgres"]')" -U "$2" -d postgres "${@:3}"; }
  super() { sql "$(cat "$(of_world 'w["secrets_dir"]')/pg_postgres")" postgres; }
  super <<<"SET client_min_messages = warning; DROP ROLE IF EXISTS kube_creator; CREATE ROLE kube_creator LOGIN CREATEROLE CREATEDB PASSWORD '$password'; GRANT CONNECT ON DATABASE postgres TO kube_creator" || die "no login to try it with"
  if sql "$password" kube_creator -f "$W/made/roles.sql" -f "$CHART/files/bootstrap/bootstrap.sql" >"$W/bootstrap.log" 2>&1; then die "it went through"; fi
  super <<<"REVOKE ALL ON DATABASE postgres FROM kube_creator; DROP ROLE kube_creator"
  [ "$(grep -c ERROR "$W/bootstrap.log")" = 1 ] && grep -q "needs a superuser, and kube_creator is none: nothing was changed" "$W/bootstrap.log" || die "it says $(cat "$W/bootstrap.log")"
  ok "stopped at once: $(sed -n 's/.*ERROR: *//p' "$W/bootstrap.log")"
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
  mkdir "$W/next"
  cat >"$W/next/kustomization.yaml" <<K
resources: [$(realpath --relative-to="$W/next" "$HERE/overlay")]
images: [$(for s in "${SERVICES[@]}"; do printf '{name: tenantry-%s, newTag: 0.2.0}, ' "$s"; done)]
K
  k apply -k "$W/next" >"$W/kustomize3.log" 2>&1 || die "apply with another tag: $(tail -n 3 "$W/kustomize3.log")"
  until_true 120 "every deployment has the next image" settled
  [ "$(tags)" = 0.2.0 ] && [ "$(k -n $NS get jobs --no-headers | awk '{print $2}' | paste -sd' ')" = "1/1 1/1" ] || die "after another tag: $(tags) $(k -n $NS get jobs)"
  ok "applied with another tag: a second migration Job, new pods"
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
bootstrap
kustomize
say "$passed checks in $((SECONDS - began)) s"
