#!/usr/bin/env python3
"""split.py [--only-new OLD] RENDERED DIR: rendered chart -> a kustomize base, one file a component, without what only Helm needs.
With --only-new only objects that OLD has not, as a kustomize component."""
import pathlib, sys, yaml

args = sys.argv[1:]
old = None
if args[0] == "--only-new":
    old, args = args[1], args[2:]
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


def clean(d):
    labels = d["metadata"].get("labels", {})
    labels.pop("helm.sh/chart", None)
    labels["app.kubernetes.io/managed-by"] = "kustomize"
    notes = d["metadata"].get("annotations", {})
    for name in [n for n in notes if n.startswith("helm.sh/")]:
        del notes[name]
    if not notes:
        d["metadata"].pop("annotations", None)
    for doc in (d["data"],) if "data" in d else ():
        for name, value in doc.items():  # block style knows no blanks at a line's end
            doc[name] = "\n".join(line.rstrip() for line in value.split("\n"))
    return d


known = {key(d) for d in load(old)} if old else set()
files = {}
for d in load(rendered):
    if key(d) not in known:
        files.setdefault(d["metadata"]["labels"]["app.kubernetes.io/component"], []).append(clean(d))
for name, docs in files.items():
    (out / f"{name}.yaml").write_text("# Made by k8s/render.sh from k8s/chart.\n" + yaml.dump_all(docs, Dumper=Dumper, sort_keys=False, width=200))
head = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "namespace": "tenantry"}
if old:
    head = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
head["resources"] = sorted(f"{n}.yaml" for n in files)
(out / "kustomization.yaml").write_text("# Made by k8s/render.sh from k8s/chart.\n" + yaml.dump(head, sort_keys=False))
