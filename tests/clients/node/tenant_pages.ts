// The console of one organisation in headless Chromium: every page as owner, what a viewer sees, the flows people come
// for, once by keyboard alone and once without script, and no accessibility violation on any page.
import assert from "node:assert/strict";
import { browser, complaints, go, NAME, page, path, plain, seen, tenant, url } from "./console.js";
import { backups } from "./console_backups.js";
import { imports } from "./console_imports.js";
import { membership, people } from "./console_people.js";
import { records } from "./console_records.js";
import { eventually, run } from "./helper.js";
import { accessible, open, press, pressByKey, signIn, tabTo, text } from "./pages_helper.js";

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
      await pressByKey(page, 'a[href="/types/notes/records/new"]');
      await tabTo(page, '[id="f.title"]');
      await page.keyboard.type("Made without a mouse");
      await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
      assert.match(await text(page), /Created\.[^]*Made without a mouse/);
      await pressByKey(page, 'form[action="/sign-out"] button');
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
  ...records,
  ...imports,
  ...people,
  ...backups,
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
  ...membership,
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
      await go(seen.operationPath, 200, plain);
      await go(seen.importPath, 200, plain);
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
