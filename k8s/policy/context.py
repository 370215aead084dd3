#!/usr/bin/env python3
"""context.py ROOT: what docker build is given. Every member of the cargo workspace must survive .dockerignore, as must the lock file and
the protos; and nothing that must not leave the machine. The rules are docker's: the last pattern that matches a path or a directory
above it decides. Exit code 1 and the paths if something is wrong."""
import pathlib, re, sys, tomllib

ROOT = pathlib.Path(sys.argv[1])
NEEDED = ("Cargo.toml", "Cargo.lock", "proto/tenantry")
FORBIDDEN = (".git/config", ".run/dev/secrets/root_key", "target/debug", "made/secrets/root_key", "deploy/compose/state/instance")


def pattern(text):
    text, parts = text.strip("/"), []
    for piece in re.split(r"(\*\*/|\*\*|\*|\?)", text):
        parts.append({"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(piece, re.escape(piece)))
    return re.compile("".join(parts) + "(?:/.*)?")


rules = []
for line in (ROOT / ".dockerignore").read_text().splitlines():
    if line.strip() and not line.startswith("#"):
        rules.append((line.startswith("!"), pattern(line.lstrip("!"))))


def ignored(path):
    state = False
    for keep, rule in rules:
        if rule.fullmatch(path):
            state = not keep
    return state


members = [d for text in tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["members"] for d in sorted(ROOT.glob(text)) if (d / "Cargo.toml").exists()]
bad = [f"{p}: docker build needs it, .dockerignore drops it" for p in NEEDED if ignored(p)]
for d in members:
    files = [d / "Cargo.toml", *d.glob("build.rs"), *d.glob("src/**/*"), *d.glob("migrations/**/*"), *d.glob("proto/**/*")]
    lost = [f.relative_to(ROOT).as_posix() for f in files if ignored(f.relative_to(ROOT).as_posix())]
    bad += [f"{p}: of a member of the workspace, .dockerignore drops it" for p in lost[:3]]
bad += [f"{p}: must not be given to docker build" for p in FORBIDDEN if not ignored(p)]
print("\n".join(bad) or f"{len(members)} members of the workspace survive .dockerignore")
sys.exit(bool(bad))
