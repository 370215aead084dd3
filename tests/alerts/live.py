#!/usr/bin/env python3
"""The live half of run.sh: load, names, dashboards, runbooks, then an outage that fires and resolves.

Waits by asking again, never by sleeping for a while; whatever is not true in time ends with a non-zero status.
"""
import argparse, http.server, json, os, pathlib, re, signal, sys, threading, time, urllib.error, urllib.parse, urllib.request

options = argparse.ArgumentParser()
for name in ("world", "root", "prometheus", "hook"):
    options.add_argument(f"--{name}", required=True)
options = options.parse_args()
ROOT, WORLD = pathlib.Path(options.root), json.load(open(options.world))
RULES, BOARDS = ROOT / "deploy/prometheus/rules", ROOT / "deploy/grafana"
PROMETHEUS = f"http://127.0.0.1:{options.prometheus}"
failures, received = [], []


def check(ok, text):
    if not ok:
        failures.append(text)
        print(f"FAIL  {text}", flush=True)


def until(what, ask, seconds=45):
    """Asks until the answer is true; the last answer otherwise."""
    last, end = None, time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            last = ask()
            if last:
                return last
        except (OSError, KeyError, ValueError) as error:
            last = error
        time.sleep(0.2)
    sys.exit(f"FAIL  not in {seconds} s: {what}; last: {last!r}")


# --- HTTP

def call(host, method, path, body=None, token=None):
    headers = {"host": f"{host}.localhost:{WORLD['ports']['gateway']}", "content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(WORLD["gateway_url"] + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def prometheus(path, **query):
    with urllib.request.urlopen(f"{PROMETHEUS}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
        return json.load(answer)["data"]


class Hook(http.server.BaseHTTPRequestHandler):
    """A receiver as a customer would write one."""

    def do_POST(self):
        received.extend(json.loads(self.rfile.read(int(self.headers["content-length"])))["alerts"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


# --- load: one tenant with a type and some records, so that the dashboards have something to show

def load():
    operator = call("operator", "POST", "/v1/auth:signIn", {key: WORLD["operator"][key] for key in ("email", "password")})["accessToken"]
    slug = f"alerts{int(time.time() * 1000):x}"
    started = call("operator", "POST", f"/v1/tenants?adminEmail=owner@{slug}.example&adminDisplayName=Olga",
                   {"slug": slug, "displayName": "Alerts", "plan": "plans/enterprise"}, operator)
    done = until("the tenant is there", lambda: (lambda op: op if op.get("done") else None)(call("operator", "GET", f"/v1/{started['name']}", token=operator)))
    link = done["response"]["inviteUri"].split("token=")[1]
    password = "correct horse battery staple 7"
    until("the invite works", lambda: call(slug, "POST", "/v1/auth:acceptLink", {"linkToken": link, "password": password}))
    owner = call(slug, "POST", "/v1/auth:signIn", {"email": f"owner@{slug}.example", "password": password})["accessToken"]
    call(slug, "POST", "/v1/objectTypes", {"name": "objectTypes/notes", "displayName": "Notes", "fields": [
        {"fieldId": "title", "type": "FIELD_TYPE_STRING", "maxLength": 100}]}, owner)
    snapshot = call(slug, "POST", "/v1/snapshots", {"description": "for the dashboards"}, owner)
    until("a snapshot is ready", lambda: call(slug, "GET", f"/v1/{snapshot['name']}", token=owner).get("done"))
    return operator, slug, owner


def some_requests(slug, owner, stop):
    n = 0
    while not stop.is_set():
        n += 1
        made = call(slug, "POST", "/v1/objectTypes/notes/records", {"fields": {"title": f"note {n}"}}, owner)
        call(slug, "GET", f"/v1/{made['name']}", token=owner)
        call(slug, "GET", "/v1/objectTypes/notes/records?pageSize=5", token=owner)
        stop.wait(0.1)


# --- what is written down must be there

def alerts_have_runbooks():
    groups = prometheus("rules")["groups"]
    alerts = {rule["name"]: rule for group in groups for rule in group["rules"] if rule["type"] == "alerting"}
    for name, rule in alerts.items():
        notes, path = rule["annotations"], ROOT / "docs/runbooks" / f"{name}.md"
        check(rule["labels"].get("severity") in ("page", "ticket"), f"{name}: severity is page or ticket")
        check(notes.get("summary") and notes.get("description"), f"{name}: summary and description")
        check(notes.get("runbook_url") == f"docs/runbooks/{name}.md" and path.is_file(), f"{name}: {path} is there and named")
        check(not rule.get("lastError"), f"{name}: {rule.get('lastError')}")
        if path.is_file():
            text = path.read_text()
            for part in ("**Symptom.**", "**Dashboard.**", "## Look", "## Causes", "## Undo"):
                check(part in text, f"{path.name} has {part}")
            for script in re.findall(r"deploy/dev/[a-z]+\.sh|deploy/grafana/[a-z]+\.json", text):
                check((ROOT / script).is_file(), f"{path.name} names {script}, which is not there")
    for page in (ROOT / "docs/runbooks").glob("Tenantry*.md"):
        check(page.stem in alerts, f"{page.name}: there is no such alert")
    return alerts, groups


def queries():
    for board in sorted(BOARDS.glob("*.json")):
        model = json.load(open(board))
        for key in ("uid", "title", "schemaVersion", "panels"):
            check(model.get(key), f"{board.name} has {key}")
        variables = [v["name"] for v in model["templating"]["list"] if v["type"] == "datasource"]
        check(variables == ["datasource"], f"{board.name} has its datasource variable")
        ids = [panel["id"] for panel in model["panels"]]
        check(len(ids) == len(set(ids)), f"{board.name}: panel ids are unique")
        for panel in model["panels"]:
            for target in panel.get("targets", []):
                check(target["datasource"]["uid"] == "${datasource}", f"{board.name}: {panel['title']} uses the variable")
                yield board.name, panel["title"], target["expr"].replace("$__rate_interval", "15s")


def dashboards_have_data():
    count = 0
    for board, title, expr in queries():
        count += 1
        answered = []

        def ask():
            answered[:] = [prometheus("query", query=expr)["result"]]
            return answered[0]

        try:
            ask()
            until(f"{board}: {title} has data ({expr})", ask)
        except urllib.error.HTTPError as error:
            check(False, f"{board}: {title}: {expr}: {error.read().decode()}")
    return count


def names_are_scraped(groups):
    known = set(prometheus("label/__name__/values"))
    recorded = {rule["name"] for group in groups for rule in group["rules"] if rule["type"] == "recording"}
    places = {f"rules: {rule['name']}": rule["query"] for group in groups for rule in group["rules"]}
    places.update({f"{board}: {title}": expr for board, title, expr in queries()})
    places.update({str(page.relative_to(ROOT)): page.read_text() for page in [*ROOT.glob("docs/*.md"), *ROOT.glob("docs/runbooks/*.md")]})
    pattern = re.compile(r"\b(?:tenantry_(?:[a-z]+_)*[a-z]+|process_[a-z_]+)\b(?!\.)")
    # Database roles, schemas and crates look like metrics in prose.
    roles = re.compile(r"tenantry_(?:ddl|owner|data|registry|auth|business|backup|monitoring|gateway|[a-z]+_sys|telemetry|auth_sys)$")
    for place, text in places.items():
        for name in pattern.findall(text):
            if place.startswith("docs/") and (roles.match(name) or not re.search(r"_(total|seconds|bytes|fds|threads|open|ready|budget|series|connections|max|flight|consumers|requests|errors|limited|bound|info)$", name)):
                continue
            family = [name, f"{name}_bucket", f"{name}_total"]
            check(any(n in known for n in family), f"{place} names {name}, which nobody exports")
    check(recorded <= known, f"recorded: {recorded - known}")


# --- an outage

def outage(operator):
    hold = pathlib.Path(WORLD["pid_dir"]) / "backup.hold"
    began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    states = lambda: [alert["status"] for alert in received if alert["labels"]["alertname"] == "TenantryServiceDown" and alert["labels"]["service"] == "backup"]

    def at_monitoring(firing):
        alerts = call("operator", "GET", "/v1/platform/alerts?pageSize=100", token=operator).get("alerts", [])
        mine = [a for a in alerts if a["alert"] == "TenantryServiceDown" and a["service"] == "backup" and a["startTime"] >= began]
        return mine and mine[0].get("firing", False) == firing

    hold.touch()
    try:
        os.kill(int((hold.parent / "backup.pid").read_text()), signal.SIGKILL)
        until("the receiver hears that backup is down", lambda: "firing" in states())
        until("monitoring shows operators the alert", lambda: at_monitoring(True))
    finally:
        hold.unlink()
    until("the receiver hears that it is over", lambda: "resolved" in states(), 75)
    until("monitoring shows that it is over", lambda: at_monitoring(False))
    ready = lambda: urllib.request.urlopen(WORLD["admin_urls"]["backup"] + "/readyz", timeout=2).status == 200
    until("backup is ready again", ready)


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(options.hook)), Hook)
threading.Thread(target=server.serve_forever, daemon=True).start()
until("six services are scraped", lambda: len([r for r in prometheus("query", query='up{job="tenantry"} == 1')["result"]]) == 6)
operator, slug, owner = load()
stop = threading.Event()
threading.Thread(target=some_requests, args=(slug, owner, stop), daemon=True).start()
alerts, groups = alerts_have_runbooks()
count = dashboards_have_data()
names_are_scraped(groups)
stop.set()
print(f"      {len(alerts)} alerts with their runbooks; {count} dashboard queries answered", flush=True)
outage(operator)
print("      TenantryServiceDown fired and resolved, at a receiver and at monitoring", flush=True)
sys.exit(1 if failures else 0)
