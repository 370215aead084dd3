"""Pods that are no service, and rights in a cloud: what the values say of them is in the rendering."""
import yaml
from base import ROOT, kind, need, part
from settings import effective

METADATA = {"169.254.169.254/32", "169.254.170.23/32"}


def given(where):
    """The values that a golden was rendered from, where it has a file of its own."""
    file = ROOT / "k8s/values" / f"{where}.yaml"
    return yaml.safe_load(file.read_text()) if file.exists() else {}


def sides(where, docs):
    """The migration Job and the test pod: their own settings, and of the defaults what every pod of a cluster may need."""
    values = given(where)
    defaults = values.get("defaults", {})
    policies = {part(d): d["spec"] for d in kind(docs, "NetworkPolicy")}
    found = {"migrations": [d["spec"]["template"] for d in kind(docs, "Job") if part(d) == "migrate"], "tests": kind(docs, "Pod")}
    for name, component in (("migrations", "migrate"), ("tests", "test")):
        own = values.get(name, {})
        for pod in found[name]:
            at, spec = f"{where}/{name}", pod["spec"]
            labels = {**defaults.get("podLabels", {}), **own.get("podLabels", {})}
            need(labels.items() <= pod["metadata"]["labels"].items(), at, f"labels {pod['metadata']['labels']}")
            need(own.get("podAnnotations", {}).items() <= pod["metadata"].get("annotations", {}).items(), at, "annotations")
            need(spec.get("nodeSelector", {}) == {**defaults.get("nodeSelector", {}), **own.get("nodeSelector", {})}, at, "node selector")
            need(spec.get("tolerations", []) == defaults.get("tolerations", []) + own.get("tolerations", []), at, "tolerations")
            need(all(v in spec["volumes"] for v in own.get("extraVolumes", [])), at, "volumes")
            env = [{"name": k, "value": v} for k, v in own.get("env", {}).items()] + own.get("extraEnv", [])
            for c in spec.get("initContainers", []) + spec["containers"]:
                need(all(e in c.get("env", []) for e in env), f"{at}/{c['name']}", "environment")
                need(all(m in c["volumeMounts"] for m in own.get("extraVolumeMounts", [])), f"{at}/{c['name']}", "mounts")
            for rule in own.get("networkPolicy", {}).get("extraEgress", []):
                need(rule in policies[component]["egress"], at, f"egress {rule}")


def roles(where, docs):
    """Roles of a cloud: annotations of the values on the account, and the way to the metadata for backup alone, and only if S3 is used
    without keys. No account's token is mounted: the cloud's webhook brings one of its own."""
    values = given(where)
    for d in kind(docs, "ServiceAccount"):
        need(d["automountServiceAccountToken"] is False, f"{where}/{part(d)}", "its account's token is mounted")
        own = values.get("services", {}).get(part(d), {}).get("serviceAccount", {}).get("annotations", {})
        need(d["metadata"].get("annotations", {}) == own, f"{where}/{part(d)}", f"annotations of its account {d['metadata'].get('annotations')}")
    backup = next(d for d in kind(docs, "Deployment") if part(d) == "backup")["spec"]["template"]["spec"]
    store = effective(docs, backup, backup["containers"][0])["store"]
    by_role = store["url"].startswith("s3://") and "access_key_id_file" not in store
    for d in kind(docs, "NetworkPolicy"):
        open_to = {p["ipBlock"]["cidr"] for rule in d["spec"].get("egress", []) for p in rule.get("to", []) if "ipBlock" in p} & METADATA
        need(open_to == (METADATA if by_role and part(d) == "backup" else set()), f"{where}/{part(d)}", f"egress to the metadata: {sorted(open_to)}")


def proxies(where, docs):
    gateway = next(d for d in kind(docs, "Deployment") if part(d) == "gateway")["spec"]["template"]["spec"]
    told = effective(docs, gateway, gateway["containers"][0])["trusted_proxies"]
    need(told == given(where).get("gateway", {}).get("trustedProxies", []), f"{where}/gateway", f"trusted proxies {told}")
