// The console of one organisation in headless Chromium: every page as owner, what a viewer sees, the flows people come
// for, once by keyboard alone and once without script, and no accessibility violation on any page.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { eventually, newTenant, ok, port, rest, run } from "./helper.js";
import { accessible, at, launch, open, press, signIn, tabTo, text } from "./pages_helper.js";

const NAME = "Rote Fabrik";
const tenant = await newTenant("con", NAME);
await ok(tenant.host, "PATCH", "/v1/branding?updateMask=displayName,primaryColor", { displayName: NAME, primaryColor: "#b3261e" }, tenant.token);
const PASSWORD = "correct horse battery staple 8";

const browser = await launch();
const complaints: string[] = [];
const [, page] = await open(browser, complaints);
const [, guest] = await open(browser, complaints);
const [, plain] = await open(browser, complaints, false);
const url = (path: string) => at(tenant.slug, path);
/** A program's call as the owner, with a token that is not too old: access tokens live five minutes. */
let token = { value: tenant.token, at: Date.now() };
async function api(method: string, path: string, body?: unknown): Promise<any> {
  if (Date.now() - token.at > 120_000) {
    const signedIn = await ok(tenant.host, "POST", "/v1/auth:signIn", { email: tenant.email, password: tenant.password });
    token = { value: signedIn.accessToken, at: Date.now() };
  }
  return ok(tenant.host, method, path, body, token.value);
}
const go = async (path: string, status = 200, on: Page = page) => {
  const answer = await on.goto(url(path));
  assert.equal(answer?.status(), status, `${path}: ${await text(on)}`);
  const policy = answer?.headers()["content-security-policy"] ?? "";
  assert.ok(policy.includes("default-src 'none'") && !policy.includes("unsafe"), policy);
};
const path = (on: Page = page) => new URL(on.url()).pathname;
const START = 'main form[aria-labelledby="start"] button';
let viewer = "";
let ticket = "";
let importPath = "";
let snapshotPath = "";
let operationPath = "";

/** Follows an operation's page until it says how it ended; the script reloads it by itself. */
async function finished(on: Page): Promise<void> {
  await on.waitForFunction(() => /\b(Done|Failed)\b/.test(document.querySelector("section[aria-labelledby=operation] label")?.textContent ?? ""), undefined, { timeout: 60_000 });
}

await run([
  [
    "by keyboard alone: sign in, make a type, make a record, sign out",
    async () => {
      await page.goto(url("/types/new"));
      assert.equal(path(), "/sign-in");
      await tabTo(page, "#email");
      await page.keyboard.type(tenant.email);
      await tabTo(page, "#password");
      await page.keyboard.type(tenant.password);
      await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
      assert.equal(path(), "/types/new", "back to the page that was wanted");
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement?.className), "skip");
      await page.keyboard.press("Enter");
      assert.equal(await page.evaluate(() => document.activeElement?.id), "main");
      await tabTo(page, "#name");
      await page.keyboard.type("Notes");
      await tabTo(page, '[id="0.name"]');
      await page.keyboard.type("Title");
      await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
      assert.equal(path(), "/types/notes");
      await go("/types/notes/records");
      await tabTo(page, 'a[href="/types/notes/records/new"]');
      await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
      await tabTo(page, '[id="f.title"]');
      await page.keyboard.type("Made without a mouse");
      await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
      assert.match(await text(page), /Created\.[^]*Made without a mouse/);
      await tabTo(page, 'form[action="/sign-out"] button');
      await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
      assert.equal(path(), "/sign-in");
    },
  ],
  [
    "home says what there is and what is left to do",
    async () => {
      await signIn(page, tenant.slug, tenant.email, tenant.password);
      assert.equal(path(), "/");
      const body = await text(page);
      for (const part of [NAME, tenant.email, "Notes", "Setting up", "Take a first snapshot"]) assert.ok(body.includes(part), part);
      assert.equal(await page.locator('nav.areas a[aria-current="page"]').textContent(), "Home");
      await accessible(page, "console-home");
    },
  ],
  [
    "a type with every kind of field",
    async () => {
      await go("/types/new");
      await press(page, 'button[name="more"]');
      assert.equal(await page.locator("fieldset.row").count(), 8, "four more rows");
      await page.fill("#name", "Tickets");
      for (const [n, kind] of ["string", "enum", "int64", "decimal", "bool", "date", "timestamp", "reference"].entries()) {
        await page.fill(`[id="${n}.name"]`, ["Title", "Status", "Priority", "Cost", "Urgent", "Due", "Seen", "Note"][n] ?? "");
        await page.selectOption(`[id="${n}.kind"]`, kind);
      }
      await page.fill('[id="1.values"]', "open, closed");
      await page.fill('[id="3.digits"]', "two");
      await page.selectOption('[id="7.target"]', "notes");
      assert.ok(await page.isHidden('[id="2.digits"]'), "what is not for the type is hidden");
      await page.check('[name="0.required"]');
      await accessible(page, "console-type-new");
      await press(page, 'main form button[type="submit"]');
      assert.match(await text(page), /Field 4: Digits[^]*whole number from 0 to 9/);
      assert.equal(await page.getAttribute('[id="3.digits"]', "aria-invalid"), "true");
      assert.equal(await page.inputValue('[id="1.values"]'), "open, closed", "what was typed is still there");
      await accessible(page, "console-type-refused");
      await page.fill('[id="3.digits"]', "2");
      await page.fill('[id="2.id"]', "Not an id");
      await press(page, 'main form button[type="submit"]');
      assert.match(await text(page), /Field 3: Id[^]*starting with a letter/, "the service's path is in the form's words");
      assert.ok(!/object_type/.test(await text(page)), "no path of the API");
      await page.fill('[id="2.id"]', "");
      await press(page, 'main form button[type="submit"]');
      assert.equal(path(), "/types/tickets");
      await accessible(page, "console-type");
      await go("/types/tickets/fields");
      await page.fill('[id="0.name"]', "Extra");
      await page.selectOption('[id="0.kind"]', "text");
      await accessible(page, "console-type-fields");
      await press(page, 'main form button[type="submit"]');
      assert.match(await text(page), /Saved\.[^]*extra/);
      await go("/types");
      await accessible(page, "console-types");
    },
  ],
  [
    "records: make, refuse, edit, conflict, filter, order",
    async () => {
      await go("/types/tickets/records");
      assert.match(await text(page), /There are no records yet/);
      await accessible(page, "console-records-empty");
      await go("/types/tickets/records/new");
      await page.fill('[id="f.title"]', '<b>Broken</b> "lamp"');
      await page.selectOption('[id="f.status"]', "open");
      await page.fill('[id="f.priority"]', "3");
      await page.fill('[id="f.cost"]', "12.345");
      await page.selectOption('[id="f.urgent"]', "true");
      await page.fill('[id="f.due"]', "2026-12-24");
      await page.fill('[id="f.seen"]', "2026-11-23T09:30:00");
      await page.selectOption('[id="f.note"]', { index: 1 });
      await press(page, 'main form button[type="submit"]');
      assert.match(await text(page), /Invalid argument|INVALID_ARGUMENT/, "three digits where two are accepted");
      await accessible(page, "console-record-refused");
      assert.match((await page.textContent("#problem")) ?? "", /Cost[^]*at most 2 digits/);
      assert.ok(!/record\.fields/.test(await text(page)), "no path of the API");
      assert.equal(await page.getAttribute('[id="f.cost"]', "aria-invalid"), "true");
      assert.equal(await page.inputValue('[id="f.title"]'), '<b>Broken</b> "lamp"', "what was typed is still there");
      await page.fill('[id="f.cost"]', "12.34");
      await press(page, 'main form button[type="submit"]');
      ticket = path();
      assert.match(ticket, /^\/types\/tickets\/records\/[0-9a-f-]{36}$/);
      assert.equal(await page.inputValue('[id="f.cost"]'), "12.34");
      assert.match(await page.inputValue('[id="f.seen"]'), /^2026-11-23T09:30(:00)?$/);
      assert.equal(await page.locator("main b").count(), 0, "what people type is text");
      await accessible(page, "console-record");
      // Somebody else is faster.
      await api("PATCH", `/v1/objectTypes/tickets/records/${ticket.split("/").pop()}?updateMask=fields.priority`, { fields: { priority: 9 } });
      await page.fill('[id="f.priority"]', "4");
      await press(page, 'main form button[type="submit"]');
      assert.match(await text(page), /Somebody changed this record meanwhile/);
      assert.match((await page.textContent("#conflict")) ?? "", /4[^]*9/);
      await accessible(page, "console-record-conflict");
      await press(page, 'main form button[type="submit"]');
      assert.equal(await page.inputValue('[id="f.priority"]'), "4", "saved again, knowing");
      for (let n = 0; n < 3; n += 1) {
        await api("POST", "/v1/objectTypes/tickets/records", { fields: { title: `=HYPERLINK("x",${n})`, status: "closed", priority: n } });
      }
      await go("/types/tickets/records");
      const row = await page.locator("tbody tr", { hasText: "lamp" }).innerText();
      assert.match(row, /yes\s+2026-12-24\s+2026-11-23 09:30 UTC\s+Made without a mouse/, "as people read it, a reference by what it is called");
      await page.selectOption("#field", "seen");
      await page.fill("#value", "2026-11-23 09:30 UTC");
      await press(page, "main form[data-filter] > button");
      assert.equal(await page.locator("tbody tr").count(), 1, "what the grid shows is found");
      await page.selectOption("#field", "update_time");
      await page.fill("#value", "yesterday");
      await press(page, "main form[data-filter] > button");
      assert.deepEqual([await page.inputValue("#field"), await page.inputValue("#value")], ["update_time", "yesterday"]);
      assert.equal(await page.getAttribute("#value", "aria-invalid"), "true");
      assert.equal(await page.locator("tbody tr").count(), 1, "the filter that is there still holds");
      await accessible(page, "console-records-value-refused");
      await go("/types/tickets/records");
      await page.selectOption("#field", "status");
      await page.selectOption("#value", "closed");
      await press(page, "main form[data-filter] > button");
      assert.equal(await page.locator("tbody tr").count(), 3);
      assert.equal(await page.inputValue("main details #filter"), 'status = "closed"');
      await press(page, 'thead a:has-text("Priority")');
      assert.deepEqual(await page.locator("tbody tr td:nth-child(4)").allTextContents(), ["0", "1", "2"]);
      await press(page, 'thead a:has-text("Priority")');
      assert.equal(await page.locator("th[aria-sort]").getAttribute("aria-sort"), "descending");
      await accessible(page, "console-records");
      const list = page.url();
      await press(page, "tbody tr a");
      await press(page, 'main a:text-is("Back")');
      assert.equal(page.url(), list, "filter and order are kept");
      await page.fill("main details #filter", "status ~ 1");
      await press(page, "main details button");
      assert.match(await text(page), /INVALID_FILTER/);
      assert.equal(await page.inputValue("main form[data-filter] input[name=filter]"), "", "nothing is added to what cannot be read");
      await accessible(page, "console-records-filter-refused");
    },
  ],
  [
    "an export is a file: CSV without formulas, NDJSON unchanged",
    async () => {
      await go('/types/tickets/records?filter=status%20%3D%20"closed"');
      const save = async (label: string) => {
        const [download] = await Promise.all([page.waitForEvent("download"), page.click(`main a:text-is("${label}")`)]);
        return [download.suggestedFilename(), readFileSync(await download.path(), "utf8")];
      };
      const [csvName, csv] = await save("CSV");
      assert.equal(csvName, "tickets.csv");
      assert.equal(csv.trim().split("\r\n").length, 4, csv);
      assert.ok(csv.includes(`"'=HYPERLINK`) && !/(^|,)"?=/m.test(csv), csv);
      const [, ndjson] = await save("NDJSON");
      const rows = ndjson.trim().split("\n").map((line) => JSON.parse(line));
      assert.ok(rows.every((row) => row.fields.title.startsWith("=HYPERLINK")), ndjson);
    },
  ],
  [
    "an import shows what it understood, then how far it is, then the records",
    async () => {
      await go("/imports");
      await accessible(page, "console-import");
      const lines = Array.from({ length: 60_000 }, (_, n) => `Row ${n},${n}`);
      await page.setInputFiles("#file", { name: "Big list.csv", mimeType: "text/csv", buffer: Buffer.from(`name,amount\n${lines.join("\n")}\n`) });
      await press(page, 'main form button[type="submit"]');
      importPath = path();
      assert.match(await text(page), /60.000 rows/);
      assert.match(await text(page), /whole number/);
      assert.equal(await page.inputValue("#new_type"), "big_list");
      await accessible(page, "console-import-uploaded");
      await press(page, START);
      await accessible(page, "console-import-running");
      await finished(page);
      assert.match(await text(page), /Done/);
      await page.waitForFunction(() => document.activeElement?.hasAttribute("data-ended"));
      await press(page, 'a:text-is("See the records")');
      assert.equal(path(), "/types/big_list/records");
      assert.equal(await page.locator("tbody tr").count(), 50);
      await press(page, 'a[rel="next"]');
      assert.equal(await page.locator("tbody tr").count(), 50);
      await press(page, 'nav.pager a:text-is("First page")');
    },
  ],
  [
    "columns are mapped: a date in its own format, a text that means empty, a column left out",
    async () => {
      await go("/imports");
      const lines = ["day,cm,note", "2012/01/31,1.5,a", "2012/02/01,NA,b"];
      await page.setInputFiles("#file", { name: "2012.csv", mimeType: "text/csv", buffer: Buffer.from(lines.join("\n")) });
      await press(page, 'main form button[type="submit"]');
      assert.equal(await page.inputValue("#new_type"), "n_2012", "an id begins with a letter");
      assert.equal(await page.inputValue("#dates"), "%Y/%m/%d", "told by the values");
      await page.fill("#new_type", "rain");
      await page.selectOption('[id="1.kind"]', "double");
      await page.selectOption('[id="2.kind"]', "");
      await page.fill("#empty", "NA");
      await page.fill("#offset", "noon");
      await press(page, START);
      assert.match(await text(page), /Times without an offset[^]*must be an offset/);
      assert.equal(await page.inputValue('[id="2.kind"]'), "", "what was chosen is still there");
      await accessible(page, "console-import-refused");
      await page.fill("#offset", "+01:00");
      await press(page, START);
      await finished(page);
      const { records } = await api("GET", "/v1/objectTypes/rain/records?orderBy=day");
      assert.deepEqual(records.map((one: any) => one.fields), [{ day: "2012-01-31", cm: 1.5 }, { day: "2012-02-01" }]);
      await go("/imports");
      await page.setInputFiles("#file", { name: "semi.csv", mimeType: "text/csv", buffer: Buffer.from("a;b\n1;2\n") });
      await press(page, 'main form button[type="submit"]');
      assert.match(await text(page), /one column, with semicolons/);
      await accessible(page, "console-import-semicolons");
    },
  ],
  [
    "a record of many is found by what it is called",
    async () => {
      for (let n = 0; n < 3; n += 1) {
        const requests = Array.from({ length: 100 }, (_, m) => ({ record: { fields: { title: `Note ${n * 100 + m}` } } }));
        await api("POST", "/v1/objectTypes/notes/records:batchCreate", { requests });
      }
      await go("/types/tickets/records/new");
      await page.fill('[id="f.title"]', "Refers");
      await page.fill('[id="f.note"]', "Note 29");
      await page.waitForFunction(() => document.querySelectorAll("datalist option").length === 10 || document.querySelectorAll("datalist option").length === 11);
      await page.fill('[id="f.note"]', "Note 2990");
      await press(page, 'main form button[type="submit"]');
      assert.match(await text(page), /no record of notes is called/);
      await page.fill('[id="f.note"]', "Note 29");
      await press(page, 'main form button[type="submit"]');
      if (path() === "/types/tickets/records/new") await page.check('input[name="pick.note"] >> nth=1');
      await accessible(page, "console-reference-search");
      await press(page, 'main form button[type="submit"]');
      assert.match(await page.inputValue('[id="f.note"]'), /^Note 29/);
      await page.fill('[id="f.title"]', "Refers still");
      await press(page, 'main form button[type="submit"]');
      assert.match(await text(page), /Saved\./, "an untouched reference is not sent");
    },
  ],
  [
    "an import that is wrong names the lines and writes nothing",
    async () => {
      await go("/imports?type=tickets");
      await page.setInputFiles("#file", { name: "bad.csv", mimeType: "text/csv", buffer: Buffer.from("title,status,priority\nfine,open,1\nwrong,no such,2\n,open,3\n") });
      await press(page, 'main form button[type="submit"]');
      assert.equal(await page.inputValue("#into"), "tickets");
      await page.fill("#empty", "none");
      await press(page, START);
      await finished(page);
      const body = await text(page);
      assert.equal(await page.inputValue("#empty"), "none", "it can be started again in another way");
      assert.match(body, /Failed/);
      assert.match(body, /line 3|\b3\b/, body);
      await accessible(page, "console-import-failed");
    },
  ],
  [
    "inviting: the link is shown once, copied, and accepted",
    async () => {
      await go("/members");
      viewer = `vera@${tenant.slug}.example`;
      await page.fill("#email", viewer);
      await page.fill("#name", "Vera <i>Viewer</i>");
      await page.selectOption("#new-role", "viewer");
      await press(page, 'main form button[type="submit"]');
      const link = await page.inputValue("#secret");
      assert.ok(!page.url().includes("token"), "no secret in the address");
      await page.click("button[data-copy]");
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), link);
      await accessible(page, "console-invited");
      await go("/members");
      assert.ok(!(await text(page)).includes("token="), "it is shown once");
      assert.match(await text(page), /Vera <i>Viewer<\/i>/);
      await accessible(page, "console-members");
      const accept = new URL(link);
      await guest.goto(url(accept.pathname + accept.search));
      await guest.fill("#password", PASSWORD);
      await guest.fill("#again", PASSWORD);
      await press(guest, 'button[type="submit"]');
      await signIn(guest, tenant.slug, viewer, PASSWORD);
      assert.equal(path(guest), "/");
    },
  ],
  [
    "a viewer sees what a viewer may, and is told what is not for them",
    async () => {
      assert.deepEqual(await guest.locator("nav.areas a").allTextContents(), ["Home", "Data", "Members", "Roles", "Usage", "Backups", "Operations"]);
      await accessible(guest, "console-home-viewer");
      await go(ticket, 200, guest);
      assert.equal(await guest.locator("main form").count(), 0);
      assert.match(await text(guest), /Urgent\s*yes[^]*2026-11-23 09:30 UTC/, "as people read it");
      assert.match((await guest.getAttribute('dd a:text-is("Made without a mouse")', "href")) ?? "", /^\/types\/notes\/records\//);
      await accessible(guest, "console-record-viewer");
      await go("/members", 200, guest);
      assert.equal(await guest.locator("main form").count(), 0);
      for (const area of ["/keys", "/types/new", "/imports", `${ticket}/delete`]) {
        await go(area, 403, guest);
        assert.match(await text(guest), /PERMISSION_DENIED[^]*Request/);
      }
      await accessible(guest, "console-not-allowed");
      await go("/roles", 200, guest);
      await accessible(guest, "console-roles");
      // Double press, replayed form: whatever the browser sends, the service decides.
      const status = await guest.evaluate(async () => {
        const answer = await fetch("/types/new", { method: "POST", body: new URLSearchParams({ name: "Mine", rows: "0" }) });
        return answer.status;
      });
      assert.equal(status, 403);
    },
  ],
  [
    "an API key works until it is revoked",
    async () => {
      await go("/keys");
      await accessible(page, "console-keys-empty");
      await page.fill("#name", "robot");
      await press(page, 'main form button[type="submit"]');
      assert.match(await text(page), /at least one/, "a key without scopes is refused");
      await page.fill("#name", "robot");
      await page.check('input[value="records.read"]');
      await press(page, 'main form button[type="submit"]');
      const secret = await page.inputValue("#secret");
      await accessible(page, "console-key-made");
      const list = () => rest(tenant.host, "GET", "/v1/objectTypes/tickets/records", undefined, secret);
      assert.equal((await list()).status, 200);
      await go("/keys");
      assert.ok(!(await text(page)).includes(secret));
      await accessible(page, "console-keys");
      await press(page, 'a:has-text("Revoke")');
      await accessible(page, "console-key-revoke");
      await press(page, 'main form button[type="submit"]');
      assert.match(await text(page), /Revoked/);
      await eventually("the key is refused", async () => ((await list()).status === 401 ? true : undefined));
    },
  ],
  [
    "a snapshot is taken, verified, restored in place and as a new organisation",
    async () => {
      await go("/backups");
      await accessible(page, "console-backups-empty");
      await page.fill("#description", "before the fair");
      await press(page, 'main form[action="/backups"] button[type="submit"]');
      operationPath = path();
      assert.match(operationPath, /^\/operations\/backup-/);
      await finished(page);
      assert.match(await text(page), /records are in the snapshot/);
      await accessible(page, "console-operation");
      await press(page, 'a:text-is("The snapshot")');
      snapshotPath = path();
      await accessible(page, "console-snapshot");
      await press(page, 'form[action$="/verify"] button');
      await finished(page);
      assert.match(await text(page), /Done[^]*Every record was read and matches\./);
      await api("DELETE", `/v1${ticket.replace("/types/", "/objectTypes/")}`, undefined);
      await go(`${snapshotPath}/restore`);
      await accessible(page, "console-restore");
      await page.fill("#confirm", "something else");
      await press(page, 'form[aria-labelledby="in-place"] button');
      assert.match(await text(page), /nothing was replaced/);
      await page.fill("#confirm", tenant.slug);
      await press(page, 'form[aria-labelledby="in-place"] button');
      await finished(page);
      assert.match(await text(page), /is as in the snapshot/);
      await go(ticket);
      const clone = `${tenant.slug}x`;
      await go(`${snapshotPath}/restore`);
      await page.fill("#slug", clone);
      await press(page, 'form[aria-labelledby="new"] button');
      await finished(page);
      const invite = new URL(await page.inputValue("#secret"));
      assert.ok(invite.host.startsWith(clone), invite.host);
      await accessible(page, "console-restored");
      await eventually("the clone is served", async () => ((await rest(`${clone}.localhost:${port}`, "GET", "/sign-in")).status === 200 ? true : undefined));
      const [, other] = await open(browser, complaints);
      await other.goto(at(clone, invite.pathname + invite.search));
      await other.fill("#password", PASSWORD);
      await other.fill("#again", PASSWORD);
      await press(other, 'button[type="submit"]');
      await signIn(other, clone, tenant.email, PASSWORD, "/types");
      await other.goto(at(clone, ticket));
      assert.equal(await other.inputValue('[id="f.cost"]'), "12.34");
      await other.context().close();
      // The link of the clone is found again by the owner who asked for it, from the list.
      await go("/operations");
      await accessible(page, "console-operations");
      await press(page, 'tr:has-text("has a link") a');
      assert.equal(await page.inputValue("#secret"), invite.href);
      await go("/operations", 200, guest);
      assert.ok(!(await text(guest)).includes("has a link"), "nobody else is told of it");
      await go("/backups");
      assert.match(await text(page), /before the fair[^]*Work in the background[^]*Verify snapshot/);
      await accessible(page, "console-backups");
      await page.fill("#schedule", "not a schedule");
      await press(page, 'form[action="/backups/policy"] button');
      assert.match(await text(page), /schedule/);
      await page.fill("#schedule", "0 4 * * *");
      await press(page, 'form[action="/backups/policy"] button');
      assert.match(await text(page), /policy is saved/);
      await go("/");
      assert.match(await text(page), /Work in the background/);
    },
  ],
  [
    "usage is counted, drawn and listed",
    async () => {
      await eventually("the requests are counted", async () => {
        await go("/usage?span=hour");
        return (await page.locator("svg.chart rect").count()) > 0 ? true : undefined;
      });
      assert.equal(await page.locator("[style]").count(), 0);
      await accessible(page, "console-usage");
    },
  ],
  [
    "members: role, disable with a question, enable, reset link, removal with the e-mail typed",
    async () => {
      await go("/members");
      await press(page, `main a:text-is("${viewer}")`);
      await page.selectOption("#new-role", "member");
      await press(page, 'form[aria-labelledby="change"] button');
      assert.match(await text(page), /Saved/);
      await accessible(page, "console-member");
      await page.click('form[action$="/disable"] button');
      await page.locator("dialog[open]").waitFor();
      await page.keyboard.press("Escape");
      await page.locator("dialog").waitFor({ state: "detached" });
      assert.match(await text(page), /active/);
      await page.click('form[action$="/disable"] button');
      await accessible(page, "console-question");
      await press(page, "dialog button.danger");
      assert.match(await text(page), /is disabled/);
      await press(page, 'form[action$="/enable"] button');
      await press(page, 'form[action$="/reset"] button');
      assert.match(await page.inputValue("#secret"), /token=/);
      await go("/members");
      await press(page, `main a:text-is("${viewer}")`);
      await press(page, 'a:text-is("Remove")');
      await accessible(page, "console-member-delete");
      await page.fill("#confirm", "somebody");
      await press(page, 'main form button[type="submit"]');
      assert.match(await text(page), /nothing was removed/);
      await page.fill("#confirm", viewer);
      await press(page, 'main form button[type="submit"]');
      assert.ok(!(await text(page)).includes(viewer));
    },
  ],
  [
    "without script everything still works",
    async () => {
      await signIn(plain, tenant.slug, tenant.email, tenant.password, "/types/notes/records/new");
      await plain.fill('[id="f.title"]', "Plain");
      await press(plain, 'main form button[type="submit"]');
      assert.match(path(plain), /^\/types\/notes\/records\//);
      await press(plain, 'a:text-is("Delete")');
      await press(plain, 'main form button[type="submit"]');
      assert.equal(path(plain), "/types/notes/records");
      await go(operationPath, 200, plain);
      await go(importPath, 200, plain);
      await go("/members", 200, plain);
      assert.equal(await plain.locator("button[data-copy]:visible").count(), 0);
    },
  ],
  [
    "what is not there is neutral, and a form that is sent twice has one effect",
    async () => {
      await go("/types/none/records", 404);
      await accessible(page, "console-not-found");
      await go("/nothing-here", 404);
      assert.match(await text(page), /NOT_FOUND[^]*Request/);
      await accessible(page, "message-not-found");
      await press(page, 'main a:text-is("Home")');
      assert.equal(path(), "/");
      // Only forms are sent there.
      await go("/branding/publish");
      assert.equal(path(), "/branding");
      await go("/types/notes/records/new");
      const id = await page.inputValue('input[name="request_id"]');
      const send = () =>
        page.evaluate(async (id) => {
          const body = new URLSearchParams({ request_id: id, "f.title": "Twice" });
          return (await fetch("/types/notes/records/new", { method: "POST", body })).url;
        }, id);
      assert.equal(await send(), await send());
      await go('/types/notes/records?filter=title%20%3D%20"Twice"');
      assert.equal(await page.locator("tbody tr").count(), 1);
    },
  ],
  [
    "a type goes with its id typed",
    async () => {
      await go("/types/big_list/delete");
      await page.fill("#confirm", "big_list");
      await accessible(page, "console-type-delete");
      await press(page, 'main form button[type="submit"]');
      assert.equal(path(), "/types");
      assert.ok(!(await text(page)).includes("big_list"));
    },
  ],
  [
    "a session that ended leads to the sign-in page and back",
    async () => {
      await go("/sessions");
      await accessible(page, "console-sessions");
      await page.click('form[action="/sessions/revoke-others"] button');
      await press(page, "dialog button.danger");
      const [context, second] = await open(browser, complaints);
      await signIn(second, tenant.slug, tenant.email, tenant.password);
      await second.goto(url("/sessions"));
      await second.click('form[action="/sessions/revoke-others"] button');
      await press(second, "dialog button.danger");
      await eventually("the first window is signed out", async () => {
        await page.goto(url("/members?page="));
        return path() === "/sign-in" ? true : undefined;
      });
      await page.fill("#email", tenant.email);
      await page.fill("#password", tenant.password);
      await press(page, 'button[type="submit"]');
      assert.equal(path(), "/members");
      await go("/types/notes/records/new");
      await page.fill('[id="f.title"]', "Gone with the session");
      await page.context().clearCookies();
      await press(page, 'main form button[type="submit"]');
      assert.match(await text(page), /Your session ended; nothing was saved/);
      await context.close();
    },
  ],
  ["no page broke its own content security policy or logged an error", async () => assert.deepEqual(complaints, [])],
]);
