// Members, invites, what a viewer may, and keys of programs.
import assert from "node:assert/strict";
import { go, guest, page, PASSWORD, path, seen, tenant, url } from "./console.js";
import { type Check, eventually, rest } from "./helper.js";
import { accessible, press, pressByKey, signIn, text } from "./pages_helper.js";

export const people: Check[] = [
  [
    "inviting: the link is shown once, copied, and accepted",
    async () => {
      await go("/members");
      seen.viewer = `vera@${tenant.slug}.example`;
      await page.fill("#email", seen.viewer);
      await page.fill("#name", "Vera <i>Viewer</i>");
      await page.selectOption("#new-role", "viewer");
      await pressByKey(page, 'main form button[type="submit"]');
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
      await signIn(guest, tenant.slug, seen.viewer, PASSWORD);
      assert.equal(path(guest), "/");
    },
  ],
  [
    "a viewer sees what a viewer may, and is told what is not for them",
    async () => {
      assert.deepEqual(await guest.locator("nav.areas a").allTextContents(), ["Home", "Data", "Members", "Roles", "Usage", "Backups", "Operations"]);
      await accessible(guest, "console-home-viewer");
      await go(seen.ticket, 200, guest);
      assert.equal(await guest.locator("main form").count(), 0);
      assert.match(await text(guest), /Urgent\s*yes[^]*2026-11-23 09:30 UTC/, "as people read it");
      assert.match((await guest.getAttribute('dd a:text-is("Made without a mouse")', "href")) ?? "", /^\/types\/notes\/records\//);
      await accessible(guest, "console-record-viewer");
      await go("/members", 200, guest);
      assert.equal(await guest.locator("main form").count(), 0);
      for (const area of ["/keys", "/types/new", "/imports", `${seen.ticket}/delete`]) {
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
      await pressByKey(page, 'main form button[type="submit"]');
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
];

export const membership: Check[] = [
  [
    "members: role, disable with a question, enable, reset link, removal with the e-mail typed",
    async () => {
      await go("/members");
      await press(page, `main a:text-is("${seen.viewer}")`);
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
      await press(page, `main a:text-is("${seen.viewer}")`);
      await press(page, 'a:text-is("Remove")');
      await accessible(page, "console-member-delete");
      await page.fill("#confirm", "somebody");
      await press(page, 'main form button[type="submit"]');
      assert.match(await text(page), /nothing was removed/);
      await page.fill("#confirm", seen.viewer);
      await press(page, 'main form button[type="submit"]');
      assert.ok(!(await text(page)).includes(seen.viewer));
    },
  ],
];
