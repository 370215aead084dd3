#!/usr/bin/env python3
"""world.py ROOT INSTANCE_DIR PORT_BASE PROFILE: writes world.json (0600), all that a test or a tool must know of an instance.

It holds administrator credentials of the three servers: for tests, never for a service.
"""
import json, os, pathlib, sys

root, inst = (pathlib.Path(p) for p in sys.argv[1:3])
b, profile = int(sys.argv[3]), sys.argv[4]
ports = {"gateway": b, "gateway_admin": b + 7, "registry": b + 1, "registry_admin": b + 2, "auth": b + 3, "auth_admin": b + 4,
         "business": b + 5, "business_admin": b + 6, "backup": b + 8, "backup_admin": b + 9, "monitoring": b + 10, "monitoring_admin": b + 11, "postgres": b + 20, "redis": b + 21, "amqp": b + 22, "erlang_dist": b + 23,
         "epmd": b + 24, "rabbit_mgmt": b + 25, "rabbit_prometheus": b + 26}
SERVICES = ("gateway", "registry", "auth", "business", "backup", "monitoring")


def secret(name):
    f = inst / "secrets" / name
    return f.read_text().strip() if f.exists() else None


def pg(role, database):
    return f"postgres://{role}:{secret('pg_' + role)}@127.0.0.1:{ports['postgres']}/{database}"


def both(role):
    return {"tenantry": pg(role, "tenantry"), "tenantry_data": pg(role, "tenantry_data")}


roles = ["tenantry_ddl"] + [f"tenantry_{s}{x}" for s in SERVICES[1:] for x in ("", "_sys")]
world = {
    "instance": inst.name,
    "root": str(root),
    "dir": str(inst),
    "state_dir": str((inst / "state").resolve()),
    "profile": profile,
    "bin_dir": str(pathlib.Path(os.environ.get("CARGO_TARGET_DIR", root / "target")) / profile),
    "secrets_dir": str(inst / "secrets"),
    "config_dir": str(inst / "config"),
    "log_dir": str(inst / "log"),
    "pid_dir": str(inst / "pid"),
    "stack_cmd": [str(root / "deploy/dev/stack.sh"), "--instance", inst.name],
    "port_base": b,
    "ports": ports,
    "gateway_url": f"http://127.0.0.1:{b}",
    "admin_urls": {s: f"http://127.0.0.1:{ports[s + '_admin']}" for s in SERVICES},
    "grpc_urls": {s: f"http://127.0.0.1:{ports[s]}" for s in SERVICES},
    "db": {"superuser": {**both("postgres"), "postgres": pg("postgres", "postgres")}, "roles": {r: both(r) for r in roles}},
    "redis": {u: f"redis://{u}:{secret('redis_' + u)}@127.0.0.1:{ports['redis']}/0" for u in ("admin", *SERVICES)},
    "amqp": {u: f"amqp://{u}:{secret('amqp_' + u)}@127.0.0.1:{ports['amqp']}/tenantry" for u in ("admin", *SERVICES)},
    "rabbit_mgmt": {"url": f"http://127.0.0.1:{ports['rabbit_mgmt']}", "user": "admin", "password": secret("amqp_admin"), "vhost": "tenantry"},
    "operator": {"email": os.environ["OPERATOR_EMAIL"], "password": secret("operator_password"), "host": f"operator.localhost:{b}",
                 "tenant_id": "00000000-0000-7000-8000-000000000001"},
    "service_secrets": {s: secret(f"service_{s}") for s in SERVICES if secret(f"service_{s}")},
}
tmp = inst / "world.json.new"
with open(os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
    json.dump(world, f, indent=1)
tmp.rename(inst / "world.json")
