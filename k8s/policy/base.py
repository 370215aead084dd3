"""What the checks of this directory share: where things are, and how a violation is noted."""
import pathlib, sys

ROOT = pathlib.Path(sys.argv[1])
SERVICES = {"gateway": "gateway", "registry": "tenant-registry", "auth": "auth", "business": "business", "backup": "backup", "monitoring": "monitoring"}
bad, count = [], [0]


def need(condition, where, what):
    count[0] += 1
    if not condition:
        bad.append(f"{where}: {what}")


def part(d):
    return d["metadata"].get("labels", {}).get("app.kubernetes.io/component")


def matches(selector, labels):
    return all(labels.get(k) == v for k, v in (selector or {}).items())


def kind(docs, *names):
    return [d for d in docs if d["kind"] in names]
