#!/usr/bin/env python3
"""configs.py RENDERED SECRETS BIN DIR [--wrong]: the chart's configurations, read by the real binaries. RENDERED: manifests (YAML or a
JSON list) with the ConfigMaps; SECRETS: secrets.yaml of k8s/make-secrets.py. All servers are sent to a closed port: each program must
get as far as asking for its database or broker and find it away. Any other ending is a failure: a refused configuration (64), an
unreadable key, a crash, and going on without. --wrong: besides, a key that nobody knows must be refused with 64."""
import json, pathlib, re, subprocess, sys, yaml

rendered, secrets, binaries, work = map(pathlib.Path, sys.argv[1:5])
AWAY = re.compile(r"Connection refused|the database is away")
AWAY_AT = "@0.0.0.0:1"  # this machine, but not by a name that would excuse an unencrypted connection
SECONDS = 3  # a service that waits for its database is stopped then


def documents(file):
    for d in yaml.safe_load_all(file.read_text()):
        yield from d["items"] if d and d["kind"] == "List" else [d] if d else []


def private(file, text):
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.touch(mode=0o600)
    file.write_text(text)


for text in secrets.read_text().split("---\n"):
    secret = json.loads(text)
    for key, value in secret["stringData"].items():
        private(work / secret["metadata"]["name"].split("-")[1] / key, re.sub(r"@[a-z.]+:\d+", AWAY_AT, value))

found = []
for d in documents(rendered):
    for key, text in d.get("data", {}).items() if d["kind"] == "ConfigMap" else ():
        if key.endswith(".toml"):
            name = d["metadata"]["name"].split("-", 1)[1]
            service, purpose = (name, "run") if key == "config.toml" else (key[:-5], "migrate")
            text = text.replace("/etc/tenantry/secrets", str(work / service)).replace("/var/lib/tenantry", str(work))
            text = re.sub(r"0\.0\.0\.0:\d+", "127.0.0.1:0", text)
            # The delay is proven elsewhere; here it would only be waited for.
            private(work / f"{service}.{purpose}.toml", text.replace("shutdown_delay_seconds = 5", "shutdown_delay_seconds = 0"))
            found.append((service, purpose))


def start(service, purpose, file):
    return subprocess.Popen(["timeout", str(SECONDS), binaries / f"tenantry-{service}", purpose, "--config", file], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


# A few at a time: a debug build on a busy machine takes its time to start.
bad, queue = [], [(s, p, work / f"{s}.{p}.toml") for s, p in sorted(found)]
while queue:
    for service, purpose, file, process in [(*x, start(*x)) for x in queue[:4]]:
        log = process.communicate()[0]
        # 124: stopped by timeout. What it said tells whether it had got to the database.
        if process.returncode not in (1, 124) or not AWAY.search(log):
            bad.append(f"{service} {purpose} ended with {process.returncode}: {log[-600:]}")
    queue = queue[4:]
if "--wrong" in sys.argv:
    private(work / "wrong.toml", "no_such_key = 1\n" + (work / "auth.run.toml").read_text())
    process = start("auth", "run", work / "wrong.toml")
    log = process.communicate()[0]
    if process.returncode != 64:
        bad.append(f"a key that nobody knows ended with {process.returncode}: {log[-600:]}")
if len(found) != 11:
    bad.append(f"{len(found)} configurations instead of 11: {sorted(found)}")
print("\n".join(bad) or f"{len(found)} configurations accepted; each found its servers away and nothing else wrong")
sys.exit(bool(bad))
