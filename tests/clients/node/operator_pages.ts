// The operators' pages in headless Chromium: every page, a tenant made by keyboard alone and watched until it is served,
// the same without script, locking and deleting behind a typed slug, what a viewer sees, and no accessibility violation.
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { eventually, ok, port, rest, run, world } from "./helper.js";
import { complaints, email, go, guest, host, operator, page, password, PASSWORD, path, plain, plan, unique, url } from "./operator.js";
import { platform } from "./operator_platform.js";
import { accessible, at, press, pressByKey, signIn, tabTo, text } from "./pages_helper.js";

const [slug, second] = [unique("opk"), unique("opn")];
let tenant = "";

/** Waits on an operation's page until it says how it ended; the script reloads it by itself. */
const ended = (on: Page, state: string) =>
  on.waitForFunction((wanted) => document.querySelector("#state")?.textContent === wanted, state, { timeout: 60_000 });
/** Stops and resumes the work behind the pages: with auth's part of a saga unanswered, it stays under way. */
const arm = (point: string, times: number) =>
  fetch(`${world.admin_urls.registry}/faults`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ point, action: "error", times }),
  }).then((answer) => assert.ok(answer.ok, `${answer.status}`));

/** Types the slug and presses the button of a question, by keyboard alone. */
async function confirm(slug: string): Promise<void> {
  await tabTo(page, "#confirm");
  await page.keyboard.type(slug);
  await pressByKey(page, "main form button[type=submit]");
  assert.ok(path().startsWith("/sagas/"), path());
}

await run([
  [
    "by keyboard alone: sign in, create a tenant, watch it, find its invitation",
    async () => {
      await page.goto(url("/tenants/new"));
      assert.equal(path(), "/sign-in");
      await tabTo(page, "#email");
      await page.keyboard.type(email);
      await tabTo(page, "#password");
      await page.keyboard.type(password);
      await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
      assert.equal(path(), "/tenants/new", "back to the page that was wanted");
      await tabTo(page, "#slug");
      await page.keyboard.type(slug);
      await tabTo(page, "#name");
      await page.keyboard.type("Keyboard Company");
      await tabTo(page, "#plan");
      await page.keyboard.type("Team");
      await tabTo(page, "#email");
      await page.keyboard.type("olga@keyboard.example");
      await tabTo(page, "#person");
      await page.keyboard.type("Olga");
      await pressByKey(page, 'main button[type="submit"]');
      assert.ok(path().startsWith("/sagas/registry-"), path());
      await ended(page, "done");
      const link = await page.inputValue("#secret");
      assert.ok(link.startsWith(at(slug, "/accept?token=")) || link.includes(`${slug}.`), link);
      await accessible(page, "operator-onboarding-done");
      await pressByKey(page, 'main a[href^="/tenants/"]');
      tenant = path();
      assert.equal(await page.textContent("#slug"), slug);
      assert.equal(await page.textContent("#state"), "active");
      await page.goto(link.replace(/^http:\/\/[^/]*/, at(slug, "")));
      await page.fill("#password", PASSWORD);
      await page.fill("#again", PASSWORD);
      await press(page, 'button[type="submit"]');
      assert.equal(path(), "/sign-in", "the invitation works");
    },
  ],
  [
    "what was typed wrongly is said beside the form, which keeps the rest",
    async () => {
      await go("/tenants/new");
      await page.fill("#slug", slug);
      await page.fill("#email", "olga@keyboard.example");
      await press(page, 'main button[type="submit"]');
      assert.equal(path(), "/tenants/new");
      assert.match(await text(page), /taken/);
      assert.equal(await page.inputValue("#email"), "olga@keyboard.example");
      await accessible(page, "operator-tenant-new-refused");
    },
  ],
  [
    "an onboarding under way shows its step, attempt and last error, and one that failed why",
    async () => {
      await arm("registry.create_tenant.provision_data.after_reply", 1);
      await go("/tenants/new");
      await page.fill("#slug", unique("opf"));
      await page.fill("#email", "olga@keyboard.example");
      await press(page, 'main button[type="submit"]');
      await ended(page, "failed");
      assert.match(await text(page), /provision data|provision_data/);
      assert.equal(await page.locator("#secret").count(), 0);
      await accessible(page, "operator-onboarding-failed");
    },
  ],
  [
    "a step that fails and is tried again is watched live: which step, which attempt, what went wrong",
    async () => {
      const point = "registry.suspend_tenant.revoke_tenant.before_send";
      await arm(point, 1000);
      await go(`${tenant}/suspend`);
      await confirm(slug);
      await page.evaluate(() => document.body.setAttribute("data-seen", "yes"));
      const said = (selector: string) => page.textContent(selector).then((found) => (found ?? "").trim());
      await page.waitForFunction(
        (wanted) => (document.querySelector("#last-error")?.textContent ?? "").includes(wanted) && Number(document.querySelector("#attempt")?.textContent) >= 2,
        point,
        { timeout: 60_000 },
      );
      assert.equal(await page.locator('body[data-seen="yes"]').count(), 1, "by script, without loading the page again");
      assert.equal(await said("#state"), "running");
      assert.equal(await said("#step"), "revoke tenant");
      assert.match(await said("[data-said]"), /^\d+ %, revoke tenant, \d+ of \d+$/);
      assert.ok((await said("#request-id")).length > 8, "an id to ask with");
      // A page that is loaded now says the same as the one that was followed.
      await page.reload();
      assert.equal(await said("#step"), "revoke tenant");
      assert.ok(Number(await said("#attempt")) >= 2);
      assert.ok((await said("#last-error")).includes(point));
      await accessible(page, "operator-saga-stuck");
      // It fails once more and then no longer.
      await arm(point, 1);
      await ended(page, "done");
      await go(`${tenant}/resume`);
      await confirm(slug);
      await ended(page, "done");
    },
  ],
  [
    "locking, unlocking, deleting and undeleting each want the slug typed",
    async () => {
      for (const [verb, state] of [["suspend", "suspended"], ["resume", "active"], ["delete", "deleted"], ["undelete", "active"]] as const) {
        await go(`${tenant}/${verb}`);
        await accessible(page, `operator-${verb}`);
        await page.fill("#confirm", "something else");
        await press(page, "main form button[type=submit]");
        assert.match(await text(page), /not the slug/);
        assert.equal(path(), `${tenant}/${verb}`);
        await confirm(slug);
        await ended(page, "done");
        await go(tenant);
        assert.equal(await page.textContent("#state"), state);
      }
      await accessible(page, "operator-tenant");
    },
  ],
  [
    "name, plan and domains of a tenant",
    async () => {
      await page.fill("#name", "Renamed Company");
      await page.selectOption("#plan", "enterprise");
      await press(page, "form[aria-labelledby=change] button");
      assert.match(await text(page), /Saved\./);
      assert.match((await page.textContent("h1")) ?? "", /Renamed Company/);
      const owner = await ok(`${slug}.localhost:${port}`, "POST", "/v1/auth:signIn", { email: "olga@keyboard.example", password: PASSWORD });
      const domain = `${unique("help")}.example`;
      await page.fill("#domain", domain);
      await press(page, "form[aria-labelledby=domains] button");
      assert.match(await text(page), /not claimed by this tenant/);
      await eventually("the plan has reached the registry", async () => {
        const claim = await rest(`${slug}.localhost:${port}`, "POST", "/v1/domains", { name: `domains/${domain}` }, owner.accessToken);
        return claim.status === 200 ? true : undefined;
      });
      // What waits to be verified is there, with the value that the operator has to find in the DNS.
      await go(tenant);
      const claim = page.locator("tbody tr").filter({ hasText: domain });
      assert.match((await claim.textContent()) ?? "", /pending/);
      const [known] = (await ok(`${slug}.localhost:${port}`, "GET", "/v1/domains", undefined, owner.accessToken)).domains;
      assert.equal(await claim.locator("code").textContent(), known.verificationToken);
      await accessible(page, "operator-tenant-domain-pending");
      await page.fill("#domain", domain);
      await press(page, "form[aria-labelledby=domains] button");
      assert.match(await text(page), /The domain is verified/);
      assert.match((await claim.textContent()) ?? "", /verified/);
    },
  ],
  [
    "a tenant is found by a part of its name or slug, and the list says when there is nothing",
    async () => {
      await go("/");
      await accessible(page, "operator-tenants");
      await page.fill("#query", slug.toUpperCase().slice(1));
      await press(page, "form[role=search] button");
      assert.equal(await page.locator("tbody tr").count(), 1);
      await go("/?query=zzzzzz");
      assert.match(await text(page), /No name or slug contains/);
      await accessible(page, "operator-tenants-empty");
      await go(`/?query=${"x".repeat(101)}`, 400);
      assert.match(await text(page), /INVALID_ARGUMENT/);
    },
  ],
  [
    "events are found by slug, what is typed stays, and roles are the operators' own",
    async () => {
      await go(`/events?tenant=${slug}`);
      assert.ok((await page.locator("tbody tr").count()) > 0);
      assert.equal(await page.locator(`tbody td a:text-is("${slug}")`).first().getAttribute("href"), tenant);
      await go("/events?tenant=nobody-is-this", 400);
      assert.match(await text(page), /no tenant has this slug or id/);
      assert.equal(await page.inputValue("#tenant"), "nobody-is-this");
      await accessible(page, "operator-events-refused");
      await go("/sagas");
      assert.ok((await page.locator(`tbody td a:text-is("${slug}")`).count()) > 0);
      await go("/roles");
      assert.match(await text(page), /registry\.tenants\.suspend/);
      assert.ok(!(await text(page)).includes("business.records"));
      await go("/keys");
      assert.equal(await page.locator('input[value="records.read"]').count(), 0);
    },
  ],
  ...platform,
  [
    "what is not there says so, with a reason and a request id",
    async () => {
      await go("/tenants/nobody-is-this", 404);
      assert.match(await text(page), /NOT_FOUND/);
      assert.ok(((await page.locator("#problem code").textContent()) ?? "").length > 8);
      await accessible(page, "operator-not-found");
    },
  ],
  [
    "a viewer sees the platform and nothing to change it with",
    async () => {
      const address = `${unique("v")}@operators.example`;
      const invited = await ok(host, "POST", "/v1/users", { email: address, role: "ROLE_VIEWER", displayName: "Vera" }, operator);
      const linkToken = String(invited.inviteUri).split("token=")[1];
      await ok(host, "POST", "/v1/auth:acceptLink", { linkToken, password: PASSWORD });
      await signIn(guest, "operator", address, PASSWORD);
      for (const [where, name] of [["/", "tenants"], [tenant, "tenant"], ["/plans", "plans"], [`/plans/${plan}`, "plan"]] as const) {
        await go(where, 200, guest);
        assert.equal(await guest.locator("main form[method=post] button").count(), 0, where);
        assert.equal(await guest.locator("main a.button").filter({ hasText: /Create|Suspend|Delete/ }).count(), 0, where);
        await accessible(guest, `operator-viewer-${name}`);
      }
      await go("/tenants/new", 403, guest);
      assert.match(await text(guest), /PERMISSION_DENIED/);
    },
  ],
  [
    "without script a tenant is created and watched all the same",
    async () => {
      await signIn(plain, "operator", email, password);
      await go("/tenants/new", 200, plain);
      await plain.fill("#slug", second);
      await plain.fill("#email", "olga@plain.example");
      await press(plain, 'main button[type="submit"]');
      assert.ok(path(plain).startsWith("/sagas/"), path(plain));
      // The page asks again by itself.
      await plain.locator("#secret").waitFor({ timeout: 60_000 });
      assert.match(await plain.inputValue("#secret"), new RegExp(`${second}.*token=`));
    },
  ],
  ["no page broke its own content security policy or logged an error", async () => assert.deepEqual(complaints, [])],
]);
