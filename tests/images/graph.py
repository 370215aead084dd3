"""graph.py COMPOSE_FILE SCRATCH_FILE COMMAND..: `COMMAND up -d`, one service after the other, each when what its depends_on
asks for is true.

podman before 4.6 cannot wait for health, and without systemd it never runs a health check; so the order is taken from the file
and kept here: service_healthy = the container's own health check succeeds, service_completed_successfully = it ended with 0.
Everything else is done by the compose program from a copy of the file without depends_on (SCRATCH_FILE, beside it)."""

import subprocess
import sys
import time

import yaml

file, scratch, command = sys.argv[1], sys.argv[2], sys.argv[3:]
whole = yaml.safe_load(open(file))
services = whole["services"]
stripped = {name: {key: value for key, value in service.items() if key != "depends_on"} for name, service in services.items()}
with open(scratch, "w") as out:
    yaml.safe_dump({key: value for key, value in whole.items() if not key.startswith("x-")} | {"services": stripped}, out)


def podman(*args):
    return subprocess.run(["podman", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True)


def met(name, condition):
    container = f"tenantry_{name}_1"
    if condition == "service_healthy":
        return podman("healthcheck", "run", container).returncode == 0
    state = podman("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", container).stdout.split()
    if state[:1] == ["exited"] and state[1] != "0":
        sys.exit(f"{name} ended with {state[1]}: " + podman("logs", "--tail", "5", container).stderr)
    return state == ["exited", "0"]


up = set()
while len(up) < len(services):
    ready = [n for n, s in services.items() if n not in up and set(s.get("depends_on", {})) <= up]
    if not ready:
        sys.exit("depends_on goes in circles")
    for name in ready:
        for other, how in services[name].get("depends_on", {}).items():
            end = time.monotonic() + 120
            while not met(other, how["condition"]):
                if time.monotonic() > end:
                    sys.exit(f"{name} waits for {other} to be {how['condition']}: " + podman("logs", "--tail", "5", f"tenantry_{other}_1").stderr)
                time.sleep(0.3)
        done = subprocess.run([*command, "-f", scratch, "up", "-d", "--no-deps", name], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{name}: {done.stdout}{done.stderr}")
        up.add(name)
        print(f"up: {name}", flush=True)
