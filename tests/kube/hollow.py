#!/usr/bin/env python3
"""hollow.py --server URL --token-file F --dir D --port P [--nodes N] [--scrape COMPONENT=URL ..]

Stands in for what a machine without containers cannot have: kubelets and a metrics adapter.
Pods bound to its nodes become Running and Ready without anything being run; pods of Jobs succeed. On https://127.0.0.1:P it
serves metrics.k8s.io (a constant share of the CPU request) and custom.metrics.k8s.io: tenantry_requests_per_second, whose value is
real: the rate of tenantry_requests_total scraped from a running service, shared out over the pods of its component.

D/hold: while it exists no pod becomes ready. D/fail: components whose Job pods fail. D/events.jsonl: what happened, in order.
"""
import argparse, http.server, json, pathlib, re, ssl, subprocess, sys, threading, time
import urllib.error, urllib.parse, urllib.request

p = argparse.ArgumentParser()
for name in ("server", "token-file", "dir"):
    p.add_argument(f"--{name}", required=True)
p.add_argument("--port", type=int, required=True)
p.add_argument("--nodes", type=int, default=3)
p.add_argument("--scrape", action="append", default=[])
args = p.parse_args()
DIR = pathlib.Path(args.dir)
TOKEN = pathlib.Path(args.token_file).read_text().strip()
INSECURE = ssl._create_unverified_context()  # the server's certificate is self-made, on this machine
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
WINDOW = 5.0
lock = threading.Lock()
pods = {}  # uid -> pod, of our nodes
order = [0]


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def say(**what):
    with lock, open(DIR / "events.jsonl", "a") as f:
        order[0] += 1
        f.write(json.dumps({"n": order[0], **what}) + "\n")


def open_api(method, path, body=None, kind="application/json"):
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": kind}
    return urllib.request.urlopen(urllib.request.Request(args.server + path, data, headers, method=method), context=INSECURE, timeout=30)


def api(*a):
    with open_api(*a) as answer:
        return json.load(answer)


def attempt(*a):
    try:
        return api(*a)
    except urllib.error.HTTPError as e:
        if e.code not in (404, 409):
            print(a[:2], e.code, e.read()[:300], file=sys.stderr)
    except OSError as e:
        print(a[:2], e, file=sys.stderr)
    return None


def conditions(*types, status="True"):
    return [{"type": t, "status": status, "reason": "Hollow", "lastHeartbeatTime": now(), "lastTransitionTime": now()} for t in types]


def nodes():
    room = {"cpu": "32", "memory": "64Gi", "pods": "200"}
    while True:
        for n in range(args.nodes):
            name = f"hollow-{n}"
            labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "topology.kubernetes.io/zone": f"zone-{n % 2}"}
            if attempt("GET", f"/api/v1/nodes/{name}") is None:
                attempt("POST", "/api/v1/nodes", {"metadata": {"name": name, "labels": labels}})
            attempt("PATCH", f"/api/v1/nodes/{name}/status", {"status": {"capacity": room, "allocatable": room, "conditions": conditions("Ready")}}, STRATEGIC)
        time.sleep(10)


def component(pod):
    return pod["metadata"].get("labels", {}).get("app.kubernetes.io/component", "")


def path_of(pod):
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def containers(pod, state, ready):
    return [{"name": c["name"], "image": c["image"], "imageID": "hollow", "ready": ready, "started": ready, "restartCount": 0, "state": state}
            for c in pod["spec"]["containers"]]


def set_status(pod, phase, ready, state):
    address = f"10.244.{hash(pod['metadata']['uid']) % 250}.{abs(hash(pod['metadata']['name'])) % 250 + 1}"
    ready_word = "True" if ready else "False"
    status = {"phase": phase, "podIP": address, "podIPs": [{"ip": address}], "startTime": now(),
              "conditions": conditions("Initialized", "PodScheduled") + conditions("Ready", "ContainersReady", status=ready_word),
              "containerStatuses": containers(pod, state, ready)}
    return attempt("PATCH", path_of(pod) + "/status", {"status": status}, STRATEGIC)


def is_ready(pod):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", []))


def finish_job(pod):
    failing = (DIR / "fail").read_text().split() if (DIR / "fail").exists() else []
    failed = component(pod) in failing
    done = {"terminated": {"exitCode": int(failed), "reason": "Error" if failed else "Completed", "startedAt": now(), "finishedAt": now()}}
    if set_status(pod, "Failed" if failed else "Succeeded", False, done):
        say(event="failed" if failed else "succeeded", component=component(pod), pod=pod["metadata"]["name"])


def sync(pod):
    if not pod["spec"].get("nodeName", "").startswith("hollow-"):
        return
    uid, phase = pod["metadata"]["uid"], pod.get("status", {}).get("phase")
    if "deletionTimestamp" in pod["metadata"]:
        pods.pop(uid, None)
        say(event="deleted", component=component(pod), pod=pod["metadata"]["name"])
        attempt("DELETE", path_of(pod), {"gracePeriodSeconds": 0})
        return
    pods[uid] = pod
    held = (DIR / "hold").exists()
    running = {"running": {"startedAt": now()}}
    if pod["spec"].get("restartPolicy") != "Always":
        if phase == "Pending":
            say(event="started", component=component(pod), pod=pod["metadata"]["name"])
            finish_job(pod)
    elif phase == "Pending" or (phase == "Running" and not is_ready(pod) and not held):
        if phase == "Pending":
            say(event="started", component=component(pod), pod=pod["metadata"]["name"])
        set_status(pod, "Running", not held, running)


def watch():
    while True:
        try:
            listed = api("GET", "/api/v1/pods")
            for uid in set(pods) - {pod["metadata"]["uid"] for pod in listed["items"]}:
                pods.pop(uid, None)
            for pod in listed["items"]:
                sync(pod)
            # Listing again every few seconds heals whatever an event lost.
            version = listed["metadata"]["resourceVersion"]
            with open_api("GET", f"/api/v1/pods?watch=1&timeoutSeconds=3&resourceVersion={version}") as stream:
                for line in stream:
                    event = json.loads(line)
                    if event["type"] == "DELETED":
                        pods.pop(event["object"]["metadata"]["uid"], None)
                    elif event["type"] in ("ADDED", "MODIFIED"):
                        sync(event["object"])
        except (OSError, ValueError) as e:
            print("watch:", e, file=sys.stderr)
            time.sleep(0.5)


samples = {}  # component -> [(time, total)]
TOTAL = re.compile(r"^tenantry_requests_total\{[^\n]*\} ([0-9.e+]+)", re.M)


def scrape(name, url):
    while True:
        try:
            text = urllib.request.urlopen(url, timeout=5).read().decode()
            total = sum(float(v) for v in TOTAL.findall(text))
            with lock:
                mine = samples.setdefault(name, [])
                mine.append((time.monotonic(), total))
                while len(mine) > 2 and mine[-1][0] - mine[0][0] > WINDOW:
                    mine.pop(0)
        except OSError as e:
            print("scrape:", e, file=sys.stderr)
        time.sleep(0.5)


def rate(name):
    with lock:
        mine = samples.get(name, [])
        if len(mine) < 2:
            return 0.0
        return max(0.0, (mine[-1][1] - mine[0][1]) / (mine[-1][0] - mine[0][0]))


def chosen(namespace, query):
    text = urllib.parse.parse_qs(query).get("labelSelector", [""])[0]
    wanted = dict(part.split("=", 1) for part in text.split(",") if "=" in part)
    labels = lambda pod: pod["metadata"].get("labels", {})
    return [pod for pod in list(pods.values()) if pod["metadata"]["namespace"] == namespace and all(labels(pod).get(k) == v for k, v in wanted.items())]


def millicores(text):
    return int(text[:-1]) if text.endswith("m") else int(float(text) * 1000)


def pod_metrics(pod):
    use = lambda c: f"{millicores(c.get('resources', {}).get('requests', {}).get('cpu', '100m')) // 5}m"
    return {"metadata": {k: pod["metadata"].get(k) for k in ("name", "namespace", "labels")}, "timestamp": now(), "window": "10s",
            "containers": [{"name": c["name"], "usage": {"cpu": use(c), "memory": "32Mi"}} for c in pod["spec"]["containers"]]}


def custom_metrics(found):
    each = {}
    for pod in found:
        each.setdefault(component(pod), []).append(pod)
    return [{"describedObject": {"kind": "Pod", "apiVersion": "/v1", "namespace": pod["metadata"]["namespace"], "name": pod["metadata"]["name"]},
             "metricName": "tenantry_requests_per_second", "timestamp": now(), "value": f"{int(rate(name) * 1000 / len(group))}m"}
            for name, group in each.items() for pod in group]


CUSTOM, RESOURCE = "custom.metrics.k8s.io/v1beta1", "metrics.k8s.io/v1beta1"


def resources(group, name, kind):
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group,
            "resources": [{"name": name, "singularName": "", "namespaced": True, "kind": kind, "verbs": ["get", "list"]}]}


class Adapter(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        path, _, query = urllib.parse.unquote(self.path).partition("?")
        parts = path.strip("/").split("/")
        if path == f"/apis/{CUSTOM}":
            return resources(CUSTOM, "pods/tenantry_requests_per_second", "MetricValueList")
        if path == f"/apis/{RESOURCE}":
            return resources(RESOURCE, "pods", "PodMetrics")
        if path.startswith(f"/apis/{CUSTOM}/namespaces/") and path.endswith("/pods/*/tenantry_requests_per_second"):
            return {"kind": "MetricValueList", "apiVersion": CUSTOM, "metadata": {}, "items": custom_metrics(chosen(parts[4], query))}
        if path.startswith(f"/apis/{RESOURCE}/namespaces/") and parts[-1] == "pods":
            return {"kind": "PodMetricsList", "apiVersion": RESOURCE, "metadata": {}, "items": [pod_metrics(x) for x in chosen(parts[4], query)]}
        return None

    def do_GET(self):
        found = self.answer()
        body = json.dumps(found or {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}).encode()
        self.send_response(200 if found else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def register():
    """Both groups come from a Service that is nothing but the name localhost."""
    attempt("POST", "/api/v1/namespaces/kube-system/services",
            {"metadata": {"name": "hollow-metrics"}, "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": args.port}]}})
    for group in ("metrics.k8s.io", "custom.metrics.k8s.io"):
        attempt("POST", "/apis/apiregistration.k8s.io/v1/apiservices", {
            "metadata": {"name": f"v1beta1.{group}"},
            "spec": {"group": group, "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100, "insecureSkipTLSVerify": True,
                     "service": {"namespace": "kube-system", "name": "hollow-metrics", "port": args.port}}})


subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", DIR / "hollow.key", "-out", DIR / "hollow.crt",
                "-days", "2", "-subj", "/CN=localhost"], check=True, stderr=subprocess.DEVNULL)
server = http.server.ThreadingHTTPServer(("127.0.0.1", args.port), Adapter)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(DIR / "hollow.crt", DIR / "hollow.key")
server.socket = tls.wrap_socket(server.socket, server_side=True)
register()
for target in (nodes, watch):
    threading.Thread(target=target, daemon=True).start()
for pair in args.scrape:
    threading.Thread(target=scrape, args=pair.split("=", 1), daemon=True).start()
server.serve_forever()
