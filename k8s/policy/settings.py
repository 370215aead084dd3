"""Configuration: keys that the services know, no password in the open, and what a container ends up with."""
import re, tomllib, yaml
from base import ROOT, SERVICES, kind, need, part


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


def effective(docs, spec, container):
    """A container's configuration: its file of the mounted ConfigMap, under its environment."""
    file = container["args"][-1].rsplit("/", 1)[1]
    volume = next(v for v in spec["volumes"] if v["name"] == "config")
    table = tomllib.loads(next(d for d in kind(docs, "ConfigMap") if d["metadata"]["name"] == volume["configMap"]["name"])["data"][file])
    for e in container.get("env", []):
        if e["name"].startswith("TENANTRY__"):
            *path, last = e["name"][10:].lower().split("__")
            inner = table
            for step in path:
                inner = inner.setdefault(step, {})
            inner[last] = e.get("value", "")
    return table


def programs(docs):
    """(pod spec, container) of everything that reads a configuration of ours."""
    for d in kind(docs, "Deployment", "Job"):
        spec = d["spec"]["template"]["spec"]
        for c in spec.get("initContainers", []) + spec["containers"]:
            if "--config" in c.get("args", []):
                yield d, spec, c


def leftovers(where, docs):
    """An installation under another domain has nothing of the examples' domain: no host, no link, no first operator."""
    tables = [(d, c, effective(docs, spec, c)) for d, spec, c in programs(docs)]
    domain = next(t for d, c, t in tables if c["name"] == "gateway")["hosts"]["base_domain"]
    if domain.endswith("example.org"):
        return
    for d, c, table in tables:
        need("example.org" not in yaml.safe_dump(table), f"{where}/{d['kind'].lower()}/{c['name']}", f"example.org is left in an installation for {domain}")
    for d in docs:  # a file's text may be overruled by the environment: what counts was looked at above
        text = yaml.safe_dump({**d, "data": {k: v for k, v in d["data"].items() if not k.endswith(".toml")}} if d["kind"] == "ConfigMap" else d)
        need("example.org" not in text, f"{where}/{d['kind']}/{d['metadata']['name']}", f"example.org is left in an installation for {domain}")


CA = {"SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt", "SSL_CERT_DIR": "/etc/tenantry/ca"}
OWN_CA = ("cloud",)


def authorities(where, docs):
    """tls.ca reaches every program, services and migrations alike, under a name that is read; without it nothing is overruled."""
    for d, spec, c in programs(docs):
        at = f"{where}/{d['kind'].lower()}/{c['name']}"
        env = {e["name"]: e.get("value") for e in c.get("env", []) if e["name"] in CA}
        files = [i["path"] for v in spec["volumes"] if v["name"] == "ca" for i in (v.get("configMap") or v["secret"])["items"]]
        mounted = [m["mountPath"] for m in c["volumeMounts"] if m["name"] == "ca"]
        wanted = (CA, ["00000000.0"], [CA["SSL_CERT_DIR"]]) if where in OWN_CA else ({}, [], [])
        need((env, files, mounted) == wanted, at, f"certificate authorities: {env} {files} {mounted}")
