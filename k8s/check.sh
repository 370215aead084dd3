#!/usr/bin/env bash
# check.sh: the chart and what is made from it. Lint, schema (right and wrong values), Kubernetes schemas of three versions (1.29, 1.30, 1.36), goldens,
# policy, kustomize. Changes nothing; needs no cluster. To accept an intended change: k8s/render.sh, then read the difference.
source "$(dirname "${BASH_SOURCE[0]}")/../deploy/dev/lib.sh"
K8S=$ROOT/k8s
"$DEV_DIR/tools.sh" --with-kube
export PATH=$RUN/tools/kube/bin:$PATH
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
quiet() { "$@" >"$T/out" 2>&1 || { cat "$T/out" && die "$*"; }; }
chart() { helm template tenantry "$K8S/chart" --namespace tenantry "$@"; }

step "helm lint --strict"
quiet helm lint --strict "$K8S/chart"
for f in "$K8S"/values/*.yaml; do quiet helm lint --strict "$K8S/chart" -f "$f"; done

step "wrong values are refused, and say why"
refused=0
refuse() { # PATTERN ARGUMENTS..
  local pattern=$1
  shift
  ! chart "$@" >"$T/out" 2>&1 || die "accepted: $*"
  grep -qE -- "$pattern" "$T/out" || { cat "$T/out" && die "refused, but not for $pattern: $*"; }
  refused=$((refused + 1))
}
refuse "additional properties 'replica'" --set services.auth.replica=3
refuse "additional properties 'gatway'" --set gatway.service.port=80
refuse "/defaults/autoscaling/maxReplicas" --set defaults.autoscaling.maxReplicas=many
refuse "/services/gateway/image/digest" --set services.gateway.image.digest=sha256:abc
refuse "/gateway/service/type" --set gateway.service.type=Loadbalancer
refuse "/hosts/baseDomain" --set hosts.baseDomain=https://example.org
refuse "/telemetry/format" --set telemetry.format=xml
refuse "/image/registry" --set image.registry=registry.example.org
refuse "/backup/store/url" --set backup.store.url=ftp://x
refuse "/operator/email" --set operator.email=nobody
refuse "/defaults/terminationGracePeriodSeconds" --set defaults.terminationGracePeriodSeconds=3
refuse "secrets.data.registry.* is missing" --set secrets.create=true
refuse "bootstrap.existingSecret" --set bootstrap.enabled=true
refuse "parentRefs names the Gateway" --set gateway.httpRoute.enabled=true
say "      $refused wrong settings refused"

step "rendered from the sources as they are"
quiet "$K8S/render.sh" --check

step "kubernetes-validate --strict"
# Definitions of others (Prometheus operator, Gateway API) are not in the schemas.
python - "$T" "$K8S"/golden/*.yaml <<'P'
import pathlib, sys, yaml
for file in map(pathlib.Path, sys.argv[2:]):
    docs = [d for d in yaml.safe_load_all(file.read_text()) if d and "monitoring.coreos.com" not in d["apiVersion"] and "gateway.networking" not in d["apiVersion"]]
    (pathlib.Path(sys.argv[1]) / file.name).write_text(yaml.safe_dump_all(docs))
P
chart --kube-version 1.29.0 >"$T/1.29.yaml"
chart --set bootstrap.enabled=true,bootstrap.existingSecret=x,gateway.ingress.enabled=true,gateway.service.type=LoadBalancer,gateway.service.externalTrafficPolicy=Local >"$T/all.yaml"
quiet kubernetes-validate --strict --quiet -k 1.29 "$T/1.29.yaml"
for v in 1.30 1.36; do quiet kubernetes-validate --strict --quiet -k $v "$T"/{default,minimal,production,all,kustomize-base,kustomize-dev,kustomize-production}.yaml; done

step "policy"
python "$K8S/policy/check.py" "$ROOT" "$K8S"/golden/*.yaml
sh -n "$K8S/chart/files/test.sh"
say "k8s: all right in $SECONDS s"
