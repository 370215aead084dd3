"""Monitors find their ports and give the labels that rules, dashboards and the adapter select; thresholds fit the pods' limits; the
autoscalers ask for what is there."""
import json, re, yaml
from base import ROOT, SERVICES, kind, matches, need, part

MATCHER = re.compile(r'\b(job|service)(=~|!=|!~|=)"([^"]*)"')
MEMORY = re.compile(r'process_resident_memory_bytes\{job="tenantry",service=~"([a-z|]+)"\} > (\d+) \* 1024 \* 1024')
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "K": 10**3, "M": 10**6, "G": 10**9, "": 1}


def size(text):
    number, unit = re.fullmatch(r"([0-9.]+)([KMG]i?)?", str(text)).groups()
    return float(number) * UNITS[unit or ""]


def expressions():
    """Every query of rules and dashboards, and the adapter's choice of series, by the file it is in."""
    for file in sorted((ROOT / "deploy/prometheus/rules").glob("*.yaml")):
        for group in yaml.safe_load(file.read_text())["groups"]:
            for rule in group["rules"]:
                yield file.name, rule["expr"]
    for file in sorted((ROOT / "deploy/grafana").glob("*.json")):
        for found in re.findall(r'"expr": ("(?:[^"\\]|\\.)*")', file.read_text()):
            yield file.name, json.loads(found)


def produced(monitor, service):
    """Target labels as the Prometheus operator makes them, then the monitor's own relabelings."""
    labels = {"job": service["metadata"]["name"], "service": service["metadata"]["name"], "namespace": "n", "pod": "p", "endpoint": "admin"}
    for r in monitor["spec"]["endpoints"][0].get("relabelings", []):
        labels[r["targetLabel"]] = r["replacement"]
    return labels


def holds(operator, wanted, value):
    hit = value == wanted if operator in ("=", "!=") else re.fullmatch(wanted, value) is not None
    return hit if operator in ("=", "=~") else not hit


def selected(where, monitors, services):
    """Rules name one job for all, and services that exist."""
    targets = [produced(m, s) for m in monitors for s in services if matches(m["spec"]["selector"]["matchLabels"], s["metadata"]["labels"])]
    need({t["service"] for t in targets} == set(SERVICES), where, f"label service is {sorted(t['service'] for t in targets)}")
    for file, expr in expressions():
        for label, operator, wanted in MATCHER.findall(expr):
            hits = [holds(operator, wanted, t[label]) for t in targets]
            need(all(hits) if label == "job" else any(hits), where, f"{file} selects {label}{operator}\"{wanted}\", the monitors make {sorted({t[label] for t in targets})}")


def monitors(where, docs):
    services, found = kind(docs, "Service"), kind(docs, "ServiceMonitor")
    for m in found:
        chosen = [s for s in services if matches(m["spec"]["selector"]["matchLabels"], s["metadata"]["labels"])]
        need(len(chosen) == 1, where, f"{m['metadata']['name']} selects {len(chosen)} services")
        for end in m["spec"]["endpoints"]:
            need(any(p["name"] == end["port"] for s in chosen for p in s["spec"]["ports"]), where, f"{m['metadata']['name']}: no port {end['port']}")
    if found:
        selected(where, found, services)
    for s in services:
        chosen = [d for d in kind(docs, "Deployment") if matches(s["spec"]["selector"], d["spec"]["template"]["metadata"]["labels"])]
        named = {p["name"] for d in chosen for p in d["spec"]["template"]["spec"]["containers"][0]["ports"]}
        need(len(chosen) == 1 and all(p["targetPort"] in named for p in s["spec"]["ports"]), where, f"service {s['metadata']['name']} leads nowhere")
        need(s["spec"].get("clusterIP") == "None" or all(p["name"] != "admin" for p in s["spec"]["ports"]), where, "an admin port outside")


def memory(where, deployments):
    """The alert comes before the kernel does, and not in a pod that only uses what it asked for."""
    limits = {s: int(mib) * 2**20 for names, mib in MEMORY.findall((ROOT / "deploy/prometheus/rules/saturation.yaml").read_text()) for s in names.split("|")}
    for name, d in deployments.items():
        r = d["spec"]["template"]["spec"]["containers"][0]["resources"]
        need(size(r["requests"]["memory"]) < limits.get(name, 0) < size(r["limits"]["memory"]), where,
             f"TenantryMemoryHigh fires at {limits.get(name)} bytes of {name}, whose limit is {r['limits']['memory']}")


def scaling(where, hpa, ours):
    """An HPA that cannot read one of its metrics never scales down: ours only where an adapter serves it."""
    types = [m["type"] for m in hpa["spec"]["metrics"]]
    names = [m["pods"]["metric"]["name"] for m in hpa["spec"]["metrics"] if m["type"] == "Pods"]
    need("Resource" in types, where, "the HPA does not look at CPU")
    need(names == (["tenantry_requests_per_second"] if ours else []), where, f"the HPA asks for {names}, an adapter is {'there' if ours else 'not there'}")


def adapter(where):
    """The unit test evaluates the very query of the adapter's rule, and the HPAs ask for its name."""
    rule = yaml.safe_load((ROOT / "k8s/chart/files/prometheus-adapter.yaml").read_text())["rules"]["custom"][0]
    series = rule["seriesQuery"].split("{")[0]
    asked = rule["metricsQuery"].replace("<<.Series>>", series).replace("<<.GroupBy>>", "pod")
    asked = asked.replace("<<.LabelMatchers>>", 'namespace="tenantry",pod=~"gateway-a|gateway-b|gateway-idle"')
    tests = yaml.safe_load((ROOT / "deploy/prometheus/tests/adapter.yaml").read_text())["tests"]
    need(rule["name"]["as"] == "tenantry_requests_per_second", where, f"the adapter's metric is {rule['name']['as']}")
    need(all(e["expr"] == asked for t in tests for e in t["promql_expr_test"]), where, f"deploy/prometheus/tests/adapter.yaml does not evaluate {asked}")
