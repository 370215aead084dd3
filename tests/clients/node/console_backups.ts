// Snapshots, restores in place and into a new organisation, and the operations behind them.
import assert from "node:assert/strict";
import { api, browser, complaints, finished, go, guest, page, PASSWORD, path, seen, tenant, url } from "./console.js";
import { type Check, eventually, port, rest } from "./helper.js";
import { accessible, at, open, press, pressByKey, signIn, text } from "./pages_helper.js";

export const backups: Check[] = [
  [
    "a snapshot is taken, verified, restored in place and as a new organisation",
    async () => {
      await go("/backups");
      await accessible(page, "console-backups-empty");
      await page.fill("#description", "before the fair");
      await pressByKey(page, 'main form[action="/backups"] button[type="submit"]');
      seen.operationPath = path();
      assert.match(seen.operationPath, /^\/operations\/backup-/);
      await finished(page);
      assert.match(await text(page), /records are in the snapshot/);
      await accessible(page, "console-operation");
      await press(page, 'a:text-is("The snapshot")');
      seen.snapshotPath = path();
      await accessible(page, "console-snapshot");
      await press(page, 'form[action$="/verify"] button');
      await finished(page);
      assert.match(await text(page), /Done[^]*Every record was read and matches\./);
      await api("DELETE", `/v1${seen.ticket.replace("/types/", "/objectTypes/")}`, undefined);
      await go(`${seen.snapshotPath}/restore`);
      await accessible(page, "console-restore");
      await page.fill("#confirm", "something else");
      await press(page, 'form[aria-labelledby="in-place"] button');
      assert.match(await text(page), /nothing was replaced/);
      await page.fill("#confirm", tenant.slug);
      await pressByKey(page, 'form[aria-labelledby="in-place"] button');
      await finished(page);
      assert.match(await text(page), /is as in the snapshot/);
      await go(seen.ticket);
      const clone = `${tenant.slug}x`;
      await go(`${seen.snapshotPath}/restore`);
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
      await other.goto(at(clone, seen.ticket));
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
    "a snapshot is deleted after a question, and what was done with it can still be read",
    async () => {
      await go(seen.snapshotPath);
      await press(page, 'main a:text-is("Delete")');
      assert.match(await text(page), /The snapshot of .+ UTC and its .+ records cannot be restored any more\./);
      await accessible(page, "console-snapshot-delete");
      await press(page, 'main a:text-is("Back")');
      assert.equal(path(), seen.snapshotPath, "nothing was deleted yet");
      await press(page, 'main a:text-is("Delete")');
      await pressByKey(page, "main form button.danger");
      assert.equal(path(), "/backups");
      assert.match(await text(page), /Deleted\./);
      await eventually("the snapshot is gone", async () => ((await page.goto(url(seen.snapshotPath)))?.status() === 404 ? true : undefined));
      await go(`${seen.snapshotPath}/restore`, 404);
      await go("/backups");
      assert.equal(await page.locator(`[aria-label="Snapshots"] a[href="${seen.snapshotPath}"]`).count(), 0);
      await go(seen.operationPath);
      assert.match(await text(page), /Done/);
    },
  ],
];
