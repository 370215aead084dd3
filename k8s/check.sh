#!/usr/bin/env bash
# check.sh: the chart and what is made from it. Lint, schema (right and wrong values), Kubernetes schemas of three versions (1.25, 1.30, 1.36), goldens,
# policy, kustomize, make-secrets, notes, what docker build is given. Changes nothing; needs no cluster. To accept an intended change: k8s/render.sh,
# then read the difference.
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
refuse "/defaults/autoscaling/customMetrics" --set defaults.autoscaling.customMetrics=maybe
refuse "/defaults/shutdownDelaySeconds" --set defaults.shutdownDelaySeconds=6
refuse "configMap or secret, not both" --set tls.ca.configMap=a,tls.ca.secret=b
for proxy in ingress.example.org 10.0.0.256 10.0.0.0/33 10.0.0.1:80 1::2::3 ::1/129; do refuse "/gateway/trustedProxies" --set-json "gateway.trustedProxies=[\"$proxy\"]"; done
refuse "/services/backup/serviceAccount" --set services.backup.serviceAccount.name=x
refuse "snapshots would be lost" --set backup.persistence.enabled=false
refuse "3 pods cannot share" --set services.backup.autoscaling.enabled=true
refuse "2 pods cannot share" --set services.backup.replicas=2
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
chart --kube-version 1.25.0 >"$T/1.25.yaml"
chart --set bootstrap.enabled=true,bootstrap.existingSecret=x,gateway.ingress.enabled=true,gateway.service.type=LoadBalancer,gateway.service.externalTrafficPolicy=Local,tls.ca.secret=x >"$T/all.yaml"
quiet kubernetes-validate --strict --quiet -k 1.25 "$T"/{1.25,kustomize-base,kustomize-production}.yaml
for v in 1.30 1.36; do quiet kubernetes-validate --strict --quiet -k $v "$T"/{default,no-adapter,minimal,cloud,production,all,kustomize-base,kustomize-dev,kustomize-production}.yaml; done

step "kustomize: another image, another migration Job"
# A Job's pods cannot be changed: with the name of the release before kubectl apply would fail.
cp -r "$K8S/base" "$T/base" && mkdir "$T/overlay"
job() { # IMAGE.. as kustomize writes it -> the Job's name
  printf 'resources: [../base]\nimages: [{name: tenantry-monitoring, %s}]\n' "$1" >"$T/overlay/kustomization.yaml"
  kubectl kustomize "$T/overlay" | awk '/^kind: /{job = $2 == "Job"} job && /^  name: /{print $2}'
}
for image in 'newTag: "0.1.0"' 'newTag: "0.2.0"' "digest: sha256:$(printf '%064d' 1)" 'newName: "r:5000/x", newTag: "0.1.0"'; do job "$image"; done >"$T/jobs"
if [ "$(sort -u "$T/jobs" | wc -l)" != 4 ] || grep -qvE '^[a-z0-9-]{1,63}$' "$T/jobs"; then cat "$T/jobs" && die "four images, not four valid names"; fi

step "make-secrets: only where git does not see it"
secrets() { (cd "$1" && "$K8S/make-secrets.py" --postgres a --redis b --amqp c "$2"); }
git init -q "$T/repo" && echo /made/ >"$T/repo/.gitignore" && mkdir "$T/outside"
! secrets "$T/repo" keys >"$T/out" 2>&1 || die "root keys were written into a checkout"
grep -q "not ignored" "$T/out" && [ ! -e "$T/repo/keys" ] || { cat "$T/out" && die "make-secrets refused for another reason, or too late"; }
quiet secrets "$T/repo" made
quiet secrets "$T/outside" keys
[ ! -e "$ROOT/.git" ] || git -C "$ROOT" check-ignore -q made/secrets/root_key || die ".gitignore does not name made/"

step "notes: where to sign in, with what, and how to test"
# helm template does not show them; a dry run of the client asks no cluster.
notes() { # ARGUMENTS..
  KUBECONFIG=/dev/null quiet helm install tenantry "$K8S/chart" --namespace tenantry --dry-run=client "$@"
  sed -n '/^NOTES:$/,$p' "$T/out" >"$T/notes"
}
noted() { grep -qF -- "$1" "$T/notes" || { cat "$T/notes" && die "the notes do not say: $1"; }; }
notes
noted "https://operator.tenantry.example.org as operator@tenantry.example.org"
noted "get secret tenantry-auth-secrets -o jsonpath='{.data.operator_password}'"
noted "helm test tenantry -n tenantry"
python - "$T/repo/made/secrets.yaml" <<'P' || die "the notes name a Secret or a key that make-secrets does not write"
import sys, yaml
made = {d["metadata"]["name"]: d["stringData"] for d in yaml.safe_load_all(open(sys.argv[1])) if d and d["kind"] == "Secret"}
sys.exit("operator_password" not in made.get("tenantry-auth-secrets", {}))
P
notes --set hosts.baseDomain=app.example.org,operator.email=you@example.org,services.auth.existingSecret=mine,dev=true
noted "https://operator.app.example.org as you@example.org"
noted "get secret mine -o jsonpath"
noted "dev = true: unencrypted databases are accepted"

step "docker build's context"
python "$K8S/policy/context.py" "$ROOT"

step "policy"
python "$K8S/policy/check.py" "$ROOT" "$K8S"/golden/*.yaml
sh -n "$K8S/chart/files/test.sh"
say "k8s: all right in $SECONDS s"
