#!/usr/bin/env bash
# run.sh [--instance NAME]: alerts, dashboards and runbooks against real servers: Prometheus scrapes the running instance,
# Alertmanager sends what fires to a receiver of ours and to monitoring.
#
# It works on a copy of deploy/prometheus in which only addresses and times are changed: intervals are a second, and
# TenantryServiceDown waits two seconds instead of a minute. The real times are tested by promtool, first.
source "$(dirname "${BASH_SOURCE[0]}")/../../deploy/dev/lib.sh"
parse_options "$@" && load_instance
HERE=$ROOT/tests/alerts DEPLOY=$ROOT/deploy/prometheus
AM=$(command -v prometheus-alertmanager || command -v alertmanager) || die "alertmanager is not installed: deploy/dev/install.sh --for-tests"
command -v prometheus promtool amtool >/dev/null || die "prometheus is not installed: deploy/dev/install.sh --for-tests"

step "promtool and amtool: rules, their unit tests, configurations"
promtool check rules "$DEPLOY"/rules/*.yaml >/dev/null
promtool check config "$DEPLOY/prometheus.yml" >/dev/null
amtool check-config "$DEPLOY/alertmanager.yml" >/dev/null

work=$(mktemp -d) pids=()
# Beside the rest: it only computes.
promtool test rules "$DEPLOY"/tests/*.yaml >"$work/promtool.log" 2>&1 &
units=$!
finish() {
  local rc=$? pid
  trap - EXIT INT TERM
  rm -f "$INST/pid/backup.hold"
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  [ "$rc" = 0 ] || tail -n 15 "$work"/*.log >&2
  rm -rf "$work"
  exit "$rc"
}
trap finish EXIT
trap 'exit 130' INT TERM

prom=$((PORT_BASE + 31)) am=$((PORT_BASE + 32)) hook=$((PORT_BASE + 33))
cp -r "$DEPLOY/rules" "$work/rules"
sed -i '/alert: TenantryServiceDown/,/labels:/s/for: 1m/for: 2s/' "$work/rules/services.yaml"
ports=()
for s in "${SERVICES[@]}"; do ports+=(-e "s/127.0.0.1:[0-9]*\"\], labels: {service: $s}/127.0.0.1:${PORT[${s}_admin]}\"], labels: {service: $s}/"); done
sed "${ports[@]}" -e "s/127.0.0.1:9093/127.0.0.1:$am/" -e 's/_interval: 15s/_interval: 1s/' "$DEPLOY/prometheus.yml" >"$work/prometheus.yml"
sed -e "s#http://127.0.0.1:8091/alerts#http://127.0.0.1:${PORT[monitoring_admin]}/alerts#" -e 's/group_wait: .*/group_wait: 1s/' -e 's/group_interval: .*/group_interval: 2s/' \
  "$DEPLOY/alertmanager.yml" >"$work/alertmanager.yml"
printf '      - url: http://127.0.0.1:%s/\n        send_resolved: true\n' "$hook" >>"$work/alertmanager.yml"
amtool check-config "$work/alertmanager.yml" >/dev/null

step "Prometheus and Alertmanager on the instance"
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/tsdb" --web.listen-address="127.0.0.1:$prom" >"$work/prometheus.log" 2>&1 &
pids+=($!)
"$AM" --config.file="$work/alertmanager.yml" --storage.path="$work/am" --web.listen-address="127.0.0.1:$am" --cluster.listen-address= >"$work/alertmanager.log" 2>&1 &
pids+=($!)
python3 "$HERE/live.py" --world "$INST/world.json" --root "$ROOT" --prometheus "$prom" --hook "$hook"
wait "$units" || die "a rule's unit test failed"
