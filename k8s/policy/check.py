#!/usr/bin/env python3
"""check.py ROOT RENDERED..: what must hold of every rendered chart, whatever the values: restricted pods, a budget, a network policy and
probes for every Deployment, monitors that find their port, configuration keys that the services know, edges as in deploy/dev/config.sh.
Prints every violation; exit code 1 if there is one. "minimal" in a file's name means: without autoscaling, budgets and policies."""
import pathlib, re, subprocess, sys, tomllib, yaml

ROOT = pathlib.Path(sys.argv[1])
SERVICES = {"gateway": "gateway", "registry": "tenant-registry", "auth": "auth", "business": "business", "backup": "backup", "monitoring": "monitoring"}
bad, count = [], 0


def need(condition, where, what):
    global count
    count += 1
    if not condition:
        bad.append(f"{where}: {what}")


def part(d):
    return d["metadata"].get("labels", {}).get("app.kubernetes.io/component")


def matches(selector, labels):
    return all(labels.get(k) == v for k, v in (selector or {}).items())


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


def known_keys(service):
    """Sections and keys of the service's commented defaults.toml, and of the sections that all share."""
    text = (ROOT / "services" / SERVICES[service] / "src/defaults.toml").read_text()
    shared = (ROOT / "libs/config/src/sections.rs").read_text() + (ROOT / "services" / SERVICES[service] / "src/config.rs").read_text()
    keys = set(re.findall(r"^#?\s*([a-z0-9_]+)\s*=", text, re.M)) | set(re.findall(r"pub ([a-z0-9_]+):", shared))
    sections = set(re.findall(r"^#?\s*\[([a-z0-9_.]+)\]", text, re.M)) | set(re.findall(r"^    pub ([a-z0-9_]+):", shared, re.M))
    return keys, {s.split(".")[0] for s in sections}


def config_keys(where, service, text):
    keys, sections = known_keys(service)
    need(not re.search(r"://[^/@\s]*:[^/@\s]*@", text), where, "a password in a ConfigMap")
    for name, value in tomllib.loads(text).items():
        if not isinstance(value, dict):
            need(name in keys, where, f"{service} has no key {name}")
            continue
        need(name in sections, where, f"{service} has no section [{name}]")
        for key, inner in value.items():
            if name in ("services", "health") or isinstance(inner, dict):
                continue
            need(key in keys or key.removesuffix("_file") in keys, where, f"{service} has no key {name}.{key}")


def env_keys(where, service, container):
    keys, sections = known_keys(service)
    for e in container.get("env", []):
        if e["name"].startswith("TENANTRY__"):
            path = e["name"][10:].lower().split("__")
            need(path[-1].removesuffix("_file") in keys or path[-1] in keys, where, f"{service} has no key {'.'.join(path)}")
            need(len(path) == 1 or path[0] in sections, where, f"{service} has no section [{path[0]}]")


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


def deployment(where, d, docs, minimal):
    name, labels, spec = d["metadata"]["name"], d["spec"]["template"]["metadata"]["labels"], d["spec"]["template"]["spec"]
    need(d["spec"]["selector"]["matchLabels"].items() <= labels.items(), where, "selector")
    restricted(where, spec)
    main = spec["containers"][0]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        need(main.get(probe, {}).get("httpGet", {}).get("port") == "admin", where, f"no {probe}")
    need("preStop" in main.get("lifecycle", {}) and spec["terminationGracePeriodSeconds"] >= 15, where, "no drain")
    need("checksum/config" in d["spec"]["template"]["metadata"]["annotations"], where, "a changed configuration does not roll it")
    env_keys(where, part(d), main)
    need(any(x["kind"] == "ServiceAccount" and x["metadata"]["name"] == spec["serviceAccountName"] for x in docs), where, "service account")
    if minimal:
        return
    need(d["spec"].get("replicas") is None, where, "replicas are fixed beside an HPA")
    need(any(x["kind"] == "HorizontalPodAutoscaler" and x["spec"]["scaleTargetRef"]["name"] == name and len(x["spec"]["metrics"]) >= 2 for x in docs), where, "no HPA on two metrics")
    need(any(x["kind"] == "PodDisruptionBudget" and matches(x["spec"]["selector"]["matchLabels"], labels) for x in docs), where, "no disruption budget")
    need(any(x["kind"] == "NetworkPolicy" and matches(x["spec"]["podSelector"].get("matchLabels"), labels) and part(x) == part(d) for x in docs), where, "no network policy")
    need(len(spec.get("topologySpreadConstraints", [])) == 2, where, "not spread")


def monitors(where, docs):
    services = [d for d in docs if d["kind"] == "Service"]
    for m in (d for d in docs if d["kind"] == "ServiceMonitor"):
        found = [s for s in services if matches(m["spec"]["selector"]["matchLabels"], s["metadata"]["labels"])]
        need(len(found) == 1, where, f"{m['metadata']['name']} selects {len(found)} services")
        for end in m["spec"]["endpoints"]:
            need(any(p["name"] == end["port"] for s in found for p in s["spec"]["ports"]), where, f"{m['metadata']['name']}: no port {end['port']}")
    for s in services:
        chosen = [d for d in docs if d["kind"] == "Deployment" and matches(s["spec"]["selector"], d["spec"]["template"]["metadata"]["labels"])]
        named = {p["name"] for d in chosen for p in d["spec"]["template"]["spec"]["containers"][0]["ports"]}
        need(len(chosen) == 1 and all(p["targetPort"] in named for p in s["spec"]["ports"]), where, f"service {s['metadata']['name']} leads nowhere")
        need(s["spec"].get("clusterIP") == "None" or all(p["name"] != "admin" for p in s["spec"]["ports"]), where, "an admin port outside")


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
        elif d["kind"] == "ServiceAccount":
            need(d["automountServiceAccountToken"] is False, f"{where}/{part(d)}", "its account's token is mounted")
        need(d["kind"] not in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"), where, "rights in the cluster")
    if not minimal:
        edges(where, docs)
    monitors(where, docs)
print("\n".join(bad) or f"{count} assertions over {len(sys.argv) - 2} renderings hold")
sys.exit(bool(bad))
