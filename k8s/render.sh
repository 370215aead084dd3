#!/usr/bin/env bash
# render.sh [--check]: everything that is made from the chart. Copies rules, dashboards and bootstrap SQL into the chart, writes
# k8s/base (plain manifests for kubectl apply -k), k8s/components and k8s/golden. --check: says what is not up to date.
source "$(dirname "${BASH_SOURCE[0]}")/../deploy/dev/lib.sh"
umask 022
K8S=$ROOT/k8s
export PATH=$RUN/tools/kube/bin:$PATH
check=0
[ "${1:-}" != --check ] || check=1
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cp -r "$K8S" "$T/k8s"
O=$T/k8s CHART=$T/k8s/chart

mkdir -p "$CHART/files"/{rules,dashboards,bootstrap} "$O"/{base,golden,components/prometheus,components/requests-per-second}
find "$CHART/files/rules" "$CHART/files/dashboards" "$CHART/files/bootstrap" "$O/base" "$O/golden" "$O/components" -type f -delete
cp "$ROOT"/deploy/prometheus/rules/*.yaml "$CHART/files/rules/"
cp "$ROOT"/deploy/grafana/*.json "$CHART/files/dashboards/"
cp "$ROOT"/deploy/dev/{bootstrap,harden}.sql "$CHART/files/bootstrap/"

# The same API versions on every machine, whatever helm was built with.
bare() { helm template tenantry "$CHART" --namespace tenantry --kube-version 1.33.0 "$@"; }
template() { bare --api-versions custom.metrics.k8s.io/v1beta1 "$@"; } # a cluster with a metrics adapter
for f in "$O"/values/*.yaml; do template -f "$f" >"$O/golden/$(basename "$f")"; done
template >"$O/golden/default.yaml"
bare >"$O/golden/no-adapter.yaml"
template --kube-version 1.20.0 >"$O/golden/old-server.yaml"
plain=migrations.hook=false,tests.enabled=false
bare --set $plain >"$T/base.yaml"
bare --set $plain,defaults.autoscaling.customMetrics=true >"$T/requests.yaml"
bare --set $plain,metrics.serviceMonitor.enabled=true,metrics.prometheusRule.enabled=true,metrics.dashboards.enabled=true >"$T/metrics.yaml"
split() { "$RUN/tools/kube/bin/python" "$K8S/split.py" "$@"; }
split "$T/base.yaml" "$O/base"
split --only-new "$T/base.yaml" "$T/metrics.yaml" "$O/components/prometheus"
split --more-metrics "$T/base.yaml" "$T/requests.yaml" "$O/components/requests-per-second"
for k in base overlays/dev overlays/production; do kubectl kustomize "$O/$k" >"$O/golden/kustomize-$(basename "$k").yaml"; done

if [ "$check" = 1 ]; then
  diff -r -q "$K8S" "$O" || die "not up to date: run k8s/render.sh and look at the difference"
else
  rm -rf "$K8S"/{base,golden,components} "$K8S/chart/files"/{rules,dashboards,bootstrap}
  cp -r "$O"/{base,golden,components} "$K8S/" && cp -r "$CHART/files"/{rules,dashboards,bootstrap} "$K8S/chart/files/"
fi
