"""Shared by the Python and shell clients: a tenant of its own for each script, through REST as the operator.

Run as a program it makes a tenant and prints its values for a shell.
"""

import http.client
import json
import os
import secrets
import shlex
import time
import urllib.parse

WORLD = json.load(open(os.environ["TENANTRY_WORLD"], encoding="utf-8"))
PORT = WORLD["ports"]["gateway"]
PASSWORD = "correct horse battery staple 7"


def rest(host, method, path, body=None, token=None):
    """Dials the gateway's address and names the host: `*.localhost` does not resolve through glibc."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=70)
    headers = {"Host": host}
    if body is not None:
        headers["Content-Type"] = "application/json"
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, (json.loads(text) if text.startswith(("{", "[")) else text)


def ok(*args, **kwargs):
    status, body = rest(*args, **kwargs)
    if not 200 <= status < 300:
        raise AssertionError(f"{args[1]} {args[2]}: {status} {body}")
    return body


def eventually(what, probe):
    end = time.monotonic() + 60
    while True:
        found = probe()
        if found is not None:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within a minute")
        time.sleep(0.1)


def new_tenant(prefix):
    """slug, host, email, password and the owner's token of a fresh tenant with the type `tickets`."""
    operator = f"operator.localhost:{PORT}"
    credentials = {"email": WORLD["operator"]["email"], "password": WORLD["operator"]["password"]}
    token = ok(operator, "POST", "/v1/auth:signIn", credentials)["accessToken"]
    slug = f"{prefix}{secrets.token_hex(6)}"
    email = f"owner@{slug}.example"
    query = urllib.parse.urlencode({"adminEmail": email, "adminDisplayName": "Olga"})
    body = {"slug": slug, "displayName": f"Test {slug}", "plan": "plans/team"}
    name = ok(operator, "POST", f"/v1/tenants?{query}", body, token=token)["name"]

    def finished():
        now = ok(operator, "GET", f"/v1/{name}", token=token)
        return now if now.get("done") else None

    done = eventually("onboarding", finished)
    if "response" not in done:
        raise AssertionError(f"onboarding failed: {done}")
    host = f"{slug}.localhost:{PORT}"
    link = {"linkToken": done["response"]["inviteUri"].split("token=")[1], "password": PASSWORD}
    eventually("the invite link", lambda: rest(host, "POST", "/v1/auth:acceptLink", link)[0] == 200 or None)
    owner = ok(host, "POST", "/v1/auth:signIn", {"email": email, "password": PASSWORD})
    fields = [
        {"fieldId": "title", "type": "FIELD_TYPE_STRING", "required": True, "maxLength": 100},
        {"fieldId": "status", "type": "FIELD_TYPE_ENUM", "enumValues": ["open", "closed"], "indexed": True},
        {"fieldId": "priority", "type": "FIELD_TYPE_INT64", "indexed": True},
    ]
    ok(host, "POST", "/v1/objectTypes", {"name": "objectTypes/tickets", "fields": fields}, token=owner["accessToken"])
    return {"slug": slug, "host": host, "email": email, "password": PASSWORD, "token": owner["accessToken"], "port": PORT}


if __name__ == "__main__":
    for key, value in new_tenant("sh").items():
        print(f"{key.upper()}={shlex.quote(str(value))}")
