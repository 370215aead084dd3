#!/usr/bin/env python3
"""make-secrets.py --postgres HOST[:PORT] --redis HOST[:PORT] --amqp HOST[:PORT] [--plain] [--namespace NS] [--fullname NAME] DIR

Makes random passwords and keys and writes, all 0600, in DIR: secrets.yaml (kubectl apply -f), what the chart's pods mount;
roles.sql (the psql variables of deploy/dev/bootstrap.sql); definitions.json (RabbitMQ) and users.acl (Redis).
Passwords are kept in DIR/secrets: a second run with another host name changes no password.
--plain writes unencrypted addresses, which services accept only with dev=true. Keep DIR/secrets/root_key safe: who has it
and the database has everything, and without it every tenant's keys are lost. DIR may be inside a git checkout only where git ignores it.
"""
import argparse, base64, hashlib, json, os, pathlib, secrets, subprocess, sys

SERVICES = ("gateway", "registry", "auth", "business", "backup", "monitoring")
HERE = pathlib.Path(__file__).resolve().parent
os.umask(0o077)
p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for server in ("postgres", "redis", "amqp"):
    p.add_argument(f"--{server}", required=True, metavar="HOST[:PORT]")
p.add_argument("--plain", action="store_true")
p.add_argument("--namespace", default="tenantry")
p.add_argument("--fullname", default="tenantry")
p.add_argument("dir", type=pathlib.Path)
args = p.parse_args()
kept = args.dir / "secrets"


def could_be_committed(directory):
    """Inside a checkout, and git does not say that it is ignored; where git cannot be asked it does not say so."""
    target = directory.resolve()
    checkout = next((p for p in (target, *target.parents) if (p / ".git").exists()), None)
    if checkout is None:
        return False
    try:
        return subprocess.run(["git", "-C", checkout, "check-ignore", "-q", target / "secrets/root_key"], capture_output=True).returncode != 0
    except FileNotFoundError:
        return True


if could_be_committed(args.dir):
    sys.exit(f"{args.dir}: inside a git checkout and not ignored: root keys would be committed. Use made/ (it is ignored) or a directory elsewhere.")
kept.mkdir(parents=True, exist_ok=True)


def secret(name, make=lambda: secrets.token_hex(24)):
    file = kept / name
    if not file.exists():
        file.write_text(make())
    return file.read_text().strip()


def key():
    return base64.b64encode(secrets.token_bytes(32)).decode()


def host(text, port):
    return text if ":" in text else f"{text}:{port}"


pg, redis, amqp = host(args.postgres, 5432), host(args.redis, 6379 if args.plain else 6380), host(args.amqp, 5672 if args.plain else 5671)


def pg_url(role, database):
    return f"postgres://{role}:{secret('pg_' + role)}@{pg}/{database}" + ("" if args.plain else "?sslmode=verify-full")


def database(prefix, service, name):
    return {f"{prefix}_url": pg_url(f"tenantry_{service}", name), f"{prefix}_system_url": pg_url(f"tenantry_{service}_sys", name),
            f"{prefix}_ddl_url": pg_url("tenantry_ddl", name)}


def content(service):
    own = {"identity_secret": secret(f"service_{service}"),
           "amqp_url": f"amqp{'' if args.plain else 's'}://{service}:{secret('amqp_' + service)}@{amqp}/tenantry"}
    if service in ("registry", "auth", "backup", "monitoring"):
        own |= database("db", service, "tenantry")
    if service in ("auth", "business"):
        own |= database("data", service, "tenantry_data")
    if service == "business":
        own["redis_url"] = f"redis{'' if args.plain else 's'}://{service}:{secret('redis_' + service)}@{redis}/0"
    if service == "backup":
        own["signing_key"] = secret("backup_signing_key", key)
    if service == "monitoring":
        own["alerts_token"] = secret("alerts_token")
    if service == "auth":
        own |= {f"service_{s}": secret(f"service_{s}") for s in SERVICES}
        own |= {"root_key": secret("root_key", key), "operator_password": secret("operator_password", lambda: secrets.token_hex(10))}
    return own


def manifest(service):
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": f"{args.fullname}-{service}-secrets", "namespace": args.namespace}, "stringData": content(service)}


# JSON is YAML; one document a Secret.
(args.dir / "secrets.yaml").write_text("---\n".join(json.dumps(manifest(s), indent=1) + "\n" for s in SERVICES))
roles = ["tenantry_ddl"] + [f"tenantry_{s}{x}" for s in SERVICES[1:] for x in ("", "_sys")]
(args.dir / "roles.sql").write_text("".join(f"\\set pw_{r} '{secret('pg_' + r)}'\n" for r in roles))
for name in ("admin", *SERVICES):
    secret(f"amqp_{name}"), secret(f"redis_{name}")
made = subprocess.run([sys.executable, HERE.parent / "deploy/dev/definitions.py", kept], check=True, capture_output=True)
(args.dir / "definitions.json").write_bytes(made.stdout)


def hashed(name):
    return hashlib.sha256(secret(f"redis_{name}").encode()).hexdigest()


# The same commands as in deploy/dev/servers.sh: nothing that lists, scans or empties the server.
COMMANDS = ("-@all +@connection +@read +@write +@transaction +@pubsub +eval +evalsha +eval_ro +evalsha_ro +script|load +script|exists"
            " -@admin -@dangerous -scan -randomkey -dbsize")
users = [f"user {s} on #{hashed(s)} ~{s}:* resetchannels &{s}:* {COMMANDS}" for s in SERVICES]
(args.dir / "users.acl").write_text("\n".join(["user default off", f"user admin on #{hashed('admin')} ~* &* +@all", *users]) + "\n")
print(f"{args.dir}: secrets.yaml roles.sql definitions.json users.acl")
