#!/usr/bin/env python3
"""load.py WORLD RATE SECONDS: the operator lists tenants RATE times a second for SECONDS, through the gateway of an instance."""
import http.client, json, sys, threading, time

world, rate, seconds = json.load(open(sys.argv[1])), float(sys.argv[2]), float(sys.argv[3])
WORKERS = 4
host = world["operator"]["host"]


def connect():
    return http.client.HTTPConnection("127.0.0.1", world["port_base"], timeout=20)


def token():
    c = connect()
    body = json.dumps({"email": world["operator"]["email"], "password": world["operator"]["password"]})
    c.request("POST", "/v1/auth:signIn", body, {"host": host, "content-type": "application/json"})
    return json.load(c.getresponse())["accessToken"]


bearer, end, codes, lock = token(), time.monotonic() + seconds, {}, threading.Lock()


def work():
    c, due = connect(), time.monotonic()
    while time.monotonic() < end:
        c.request("GET", "/v1/tenants?pageSize=1", headers={"host": host, "authorization": f"Bearer {bearer}"})
        answer = c.getresponse()
        answer.read()
        with lock:
            codes[answer.status] = codes.get(answer.status, 0) + 1
        due = max(due + WORKERS / rate, time.monotonic() - 1)
        time.sleep(max(0, due - time.monotonic()))


threads = [threading.Thread(target=work) for _ in range(WORKERS)]
[t.start() for t in threads]
[t.join() for t in threads]
print(json.dumps(codes))
