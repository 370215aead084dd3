#!/usr/bin/env python3
"""definitions.py SECRETS_DIR: RabbitMQ definitions on stdout.

One vhost, one user per service. A service may configure, write and read the shared exchanges and what carries its own
name, nothing else: no service can read another's queue. Passwords enter as salted hashes only.
"""
import base64, hashlib, json, os, pathlib, sys

SECRETS = pathlib.Path(sys.argv[1])
VHOST = "tenantry"
SHARED = ("tenantry.commands", "tenantry.replies", "tenantry.retry", "tenantry.dead", "tenantry.meters", "tenantry.events")


def user(name, tags=""):
    salt = os.urandom(4)
    digest = hashlib.sha256(salt + (SECRETS / f"amqp_{name}").read_text().strip().encode()).digest()
    return {"name": name, "password_hash": base64.b64encode(salt + digest).decode(),
            "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": tags}


def permission(name, pattern, vhost=VHOST):
    return {"user": name, "vhost": vhost, "configure": pattern, "write": pattern, "read": pattern}


def service(name):
    return permission(name, rf"^(tenantry\.[a-z.]+|{name}\..*)$")


services = ("gateway", "registry", "auth", "business", "backup", "monitoring")
json.dump({
    "users": [user("admin", "administrator"), *(user(s) for s in services)],
    "vhosts": [{"name": VHOST}],
    "permissions": [permission("admin", ".*"), *(service(s) for s in services)],
    "exchanges": [{"name": x, "vhost": VHOST, "type": "direct", "durable": True, "auto_delete": False,
                   "internal": False, "arguments": {}} for x in SHARED],
}, sys.stdout, indent=1)
