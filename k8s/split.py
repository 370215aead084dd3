#!/usr/bin/env python3
"""split.py [--only-new OLD | --more-metrics OLD] RENDERED DIR: rendered chart -> a kustomize base, one file a component, without what
only Helm needs. With --only-new only objects that OLD has not, as a kustomize component. With --more-metrics a component that adds
to OLD's autoscalers what RENDERED's ask for besides."""
import pathlib, sys, yaml

args = sys.argv[1:]
old = mode = None
if args[0].startswith("--"):
    mode, old, args = args[0], args[1], args[2:]
rendered, out = pathlib.Path(args[0]), pathlib.Path(args[1])


class Dumper(yaml.SafeDumper):
    pass


def text(dumper, value):
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


Dumper.add_representer(str, text)
Dumper.ignore_aliases = lambda *_: True


def load(path):
    return [d for d in yaml.safe_load_all(pathlib.Path(path).read_text()) if d]


def key(d):
    return d["kind"], d["metadata"]["name"]


def hashed(job):
    """A Job cannot be changed, so each needs a name of its own. kustomize ends it with a hash of what the Job is in the end, images and
    patches of every overlay included. It does so for what carries its internal mark; the public one says the same and is not
    heeded on plain resources yet (kustomize#4833). The chart's hash stays as an annotation: it is the configuration's, too."""
    name, _, digest = job["metadata"]["name"].rpartition("-")
    job["metadata"]["name"] = name
    job["metadata"]["annotations"] = {"internal.config.kubernetes.io/needsHashSuffix": "enabled", "kustomize.config.k8s.io/needs-hash": "true"}
    job["spec"]["template"]["metadata"].setdefault("annotations", {})["checksum/config"] = digest


def clean(d):
    labels = d["metadata"].get("labels", {})
    labels.pop("helm.sh/chart", None)
    labels["app.kubernetes.io/managed-by"] = "kustomize"
    notes = d["metadata"].get("annotations", {})
    for name in [n for n in notes if n.startswith("helm.sh/")]:
        del notes[name]
    if not notes:
        d["metadata"].pop("annotations", None)
    if d["kind"] == "Job":
        hashed(d)
    for doc in (d["data"],) if "data" in d else ():
        for name, value in doc.items():  # block style knows no blanks at a line's end
            doc[name] = "\n".join(line.rstrip() for line in value.split("\n"))
    return d


def more_metrics():
    before = {key(d): d["spec"]["metrics"] for d in load(old) if d["kind"] == "HorizontalPodAutoscaler"}
    for d in load(rendered):
        for metric in d["spec"]["metrics"] if key(d) in before else ():
            if metric not in before[key(d)]:
                change = [{"op": "add", "path": "/spec/metrics/-", "value": metric}]
                yield {"target": {"kind": d["kind"], "name": d["metadata"]["name"]}, "patch": yaml.dump(change, Dumper=Dumper, sort_keys=False)}


def write(file, text):
    (out / file).write_text("# Made by k8s/render.sh from k8s/chart.\n" + text)


component = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
if mode == "--more-metrics":
    component["patches"] = list(more_metrics())
    write("kustomization.yaml", yaml.dump(component, Dumper=Dumper, sort_keys=False, width=200))
    sys.exit()
known = {key(d) for d in load(old)} if old else set()
files = {}
for d in load(rendered):
    if key(d) not in known:
        files.setdefault(d["metadata"]["labels"]["app.kubernetes.io/component"], []).append(clean(d))
for name, docs in files.items():
    write(f"{name}.yaml", yaml.dump_all(docs, Dumper=Dumper, sort_keys=False, width=200))
head = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "namespace": "tenantry"}
if old:
    head = component
head["resources"] = sorted(f"{n}.yaml" for n in files)
write("kustomization.yaml", yaml.dump(head, sort_keys=False))
