#!/usr/bin/env python3
"""check.py ROOT RENDERED..: what must hold of every rendered chart, whatever the values: restricted pods, a budget, a network policy and
probes for every Deployment, monitors that find their port and make the labels that rules select, configuration keys that the services
know, edges as in deploy/dev/config.sh. Prints every violation; exit code 1 if there is one. "minimal" in a file's name means: without
autoscaling, budgets and policies; NO_ADAPTER are renderings for a cluster without custom metrics."""
import pathlib, re, subprocess, sys, yaml
from base import ROOT, SERVICES, bad, count, kind, matches, need, part
from metrics import adapter, memory, monitors, scaling
from pods import proxies, roles, sides
from settings import authorities, config_keys, effective, env_keys, leftovers

NO_ADAPTER = ("no-adapter", "kustomize-base", "kustomize-dev")


def restricted(where, spec):
    s = spec.get("securityContext", {})
    need(spec.get("automountServiceAccountToken") is False, where, "mounts a token")
    need(spec.get("enableServiceLinks") is False, where, "gets service links in its environment")
    need(s.get("runAsNonRoot") is True and s.get("runAsUser", 0) >= 10000, where, "may run as root")
    need(s.get("seccompProfile", {}).get("type") == "RuntimeDefault", where, "no seccomp profile")
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        need(not spec.get(key), where, key)
    for v in spec.get("volumes", []):
        need(set(v) - {"name"} <= {"configMap", "secret", "emptyDir", "persistentVolumeClaim", "projected"}, where, f"volume {v}")
        if "secret" in v:
            need(v["secret"].get("defaultMode") == 0o400 and v["secret"].get("items"), where, f"secret volume {v['name']} is open or whole")
    for c in spec.get("initContainers", []) + spec["containers"]:
        at, sc = f"{where}/{c['name']}", c.get("securityContext", {})
        need(sc.get("allowPrivilegeEscalation") is False and sc.get("privileged") is False, at, "privileges")
        need(sc.get("readOnlyRootFilesystem") is True, at, "writable root file system")
        need(sc.get("capabilities", {}).get("drop") == ["ALL"] and not sc["capabilities"].get("add"), at, "capabilities")
        r = c.get("resources", {})
        need("cpu" in r.get("requests", {}) and "memory" in r.get("requests", {}), at, "no requests: the HPA cannot compute")
        need("memory" in r.get("limits", {}), at, "no memory limit")
        need(":" in c["image"] and not c["image"].endswith(":latest"), at, f"image {c['image']} without a version")
        for e in c.get("env", []):
            need(not re.search("PASSWORD|SECRET|TOKEN", e["name"]) or "valueFrom" in e, at, f"{e['name']} as plain text")


def calls():
    """Edges as the development environment has them."""
    script = 'source "$0"; for a in gateway registry auth business backup monitoring; do for b in auth registry business backup monitoring; do [ $a = $b ] || ! calls $a $b || echo $a $b; done; done'
    made = subprocess.run(["bash", "-c", script, ROOT / "deploy/dev/config.sh"], check=True, capture_output=True, text=True)
    return {tuple(line.split()) for line in made.stdout.splitlines()}


def edges(where, docs):
    policies = {part(d): d["spec"] for d in docs if d["kind"] == "NetworkPolicy"}
    need("default-deny" in policies and policies["default-deny"]["policyTypes"] == ["Ingress", "Egress"], where, "no default deny")
    target = lambda rule, side: {p["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for p in rule.get(side, []) if "podSelector" in p}
    into = {(a, s) for s in SERVICES for rule in policies[s]["ingress"] for a in target(rule, "from") if rule["ports"][0]["port"] == "grpc"}
    out = {(s, b) for s in SERVICES for rule in policies[s]["egress"] for b in target(rule, "to") if rule["ports"][0]["port"] == 9000}
    need(into == calls(), where, f"ingress differs from calls() of deploy/dev/config.sh: {sorted(into ^ calls())}")
    need(out == calls(), where, f"egress differs from calls() of deploy/dev/config.sh: {sorted(out ^ calls())}")


def volumes(where, d, docs, hpas):
    """True if a volume allows one pod only. Then there is one, and it is gone before the next one starts."""
    claims = {v["persistentVolumeClaim"]["claimName"] for v in d["spec"]["template"]["spec"]["volumes"] if "persistentVolumeClaim" in v}
    once = [c for c in kind(docs, "PersistentVolumeClaim") if c["metadata"]["name"] in claims and "ReadWriteMany" not in c["spec"]["accessModes"]]
    need(d["spec"]["strategy"]["type"] == ("Recreate" if once else "RollingUpdate"), where, f"strategy {d['spec']['strategy']['type']}")
    need(not once or (d["spec"].get("replicas") == 1 and not hpas), where, "pods would share a volume of one node")
    return bool(once)


def deployment(where, d, docs, minimal):
    name, labels, spec = d["metadata"]["name"], d["spec"]["template"]["metadata"]["labels"], d["spec"]["template"]["spec"]
    need(d["spec"]["selector"]["matchLabels"].items() <= labels.items(), where, "selector")
    restricted(where, spec)
    main = spec["containers"][0]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        need(main.get(probe, {}).get("httpGet", {}).get("port") == "admin", where, f"no {probe}")
    # No hook: what it would run is not in the image. The service itself waits, then drains, both within ten seconds.
    need("lifecycle" not in main and effective(docs, spec, main)["listen"].get("shutdown_delay_seconds") == 5, where, "no delay before the drain")
    need(spec["terminationGracePeriodSeconds"] >= 15, where, "killed while it drains")
    need("checksum/config" in d["spec"]["template"]["metadata"]["annotations"], where, "a changed configuration does not roll it")
    env_keys(where, part(d), main)
    need(any(x["kind"] == "ServiceAccount" and x["metadata"]["name"] == spec["serviceAccountName"] for x in docs), where, "service account")
    hpas = [x for x in kind(docs, "HorizontalPodAutoscaler") if x["spec"]["scaleTargetRef"]["name"] == name]
    alone = volumes(where, d, docs, hpas)
    if minimal:
        return
    need((d["spec"].get("replicas") is None) == bool(hpas), where, "replicas are fixed beside an HPA")
    need(len(hpas) == (0 if alone else 1), where, f"{len(hpas)} autoscalers")
    for x in hpas:
        scaling(where, x, where.split("/")[0] not in NO_ADAPTER)
    need(any(x["kind"] == "PodDisruptionBudget" and matches(x["spec"]["selector"]["matchLabels"], labels) for x in docs), where, "no disruption budget")
    need(any(x["kind"] == "NetworkPolicy" and matches(x["spec"]["podSelector"].get("matchLabels"), labels) and part(x) == part(d) for x in docs), where, "no network policy")
    need(len(spec.get("topologySpreadConstraints", [])) == 2, where, "not spread")


for file in map(pathlib.Path, sys.argv[2:]):
    docs = [d for d in yaml.safe_load_all(file.read_text()) if d]
    where, minimal = file.stem, "minimal" in file.stem
    found = {part(d): d for d in docs if d["kind"] == "Deployment"}
    need(set(found) == set(SERVICES), where, f"deployments {sorted(found)}")
    for name, d in found.items():
        deployment(f"{where}/{name}", d, docs, minimal)
    for d in docs:
        if d["kind"] == "Job":
            restricted(f"{where}/job", d["spec"]["template"]["spec"])
        elif d["kind"] == "Pod":
            restricted(f"{where}/pod", d["spec"])
        elif d["kind"] == "ConfigMap":
            for key, text in d["data"].items():
                if key.endswith(".toml"):
                    config_keys(f"{where}/{d['metadata']['name']}", part(d) if key == "config.toml" else key[:-5], text)
        need(d["kind"] not in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"), where, "rights in the cluster")
    if not minimal:
        edges(where, docs)
    monitors(where, docs)
    memory(where, found)
    leftovers(where, docs)
    authorities(where, docs)
    sides(where, docs)
    roles(where, docs)
    proxies(where, docs)
adapter("prometheus-adapter")
print("\n".join(bad) or f"{count[0]} assertions over {len(sys.argv) - 2} renderings hold")
sys.exit(bool(bad))
