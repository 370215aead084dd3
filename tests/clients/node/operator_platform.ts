// Plans, and the platform at a glance: alerts that fire and end, services, usage, backups, events.
import assert from "node:assert/strict";
import { type Check, world } from "./helper.js";
import { go, page, path, plan, unique, url } from "./operator.js";
import { accessible, press, text } from "./pages_helper.js";

/** Tells monitoring of an alert as Alertmanager's webhook does. */
async function tell(alert: { status: string; [key: string]: unknown }): Promise<void> {
  const answer = await fetch(`${world.admin_urls.monitoring}/alerts`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ version: "4", status: alert.status, alerts: [alert] }),
  });
  assert.ok(answer.ok, `${answer.status} ${await answer.text()}`);
}

export const platform: Check[] = [
  [
    "plans are listed, made and changed",
    async () => {
      await go("/plans");
      await accessible(page, "operator-plans");
      await go("/plans/new");
      await accessible(page, "operator-plan-new");
      await page.fill("#id", plan);
      await page.fill("#name", "Made by hand");
      await press(page, "main form button[type=submit]");
      assert.equal(path(), "/plans");
      await go(`/plans/${plan}`);
      await page.fill("#records", "77");
      await press(page, "main form button[type=submit]");
      assert.match(await text(page), /Saved\./);
      assert.equal(await page.inputValue("#records"), "77");
      await accessible(page, "operator-plan");
    },
  ],
  [
    "the platform at a glance",
    async () => {
      for (const name of ["sagas", "services", "alerts", "usage", "backups", "events"]) {
        const answer = await page.goto(url(`/${name}`));
        assert.equal(answer?.status(), 200, `${name}: ${await text(page)}`);
        await accessible(page, `operator-${name}`);
      }
      await go("/services");
      assert.match(await text(page), /gateway/);
    },
  ],
  [
    "an alert is shown while it fires, with its runbook, and then as over",
    async () => {
      const name = unique("Alert");
      const [since, until] = [new Date(Date.now() - 120_000), new Date()];
      const alert = {
        status: "firing",
        fingerprint: unique(""),
        labels: { alertname: name, severity: "page", service: "gateway" },
        annotations: { summary: "Burns <b>fast</b>", runbook_url: "https://runbooks.example/burns" },
        startsAt: since.toISOString(),
        endsAt: "0001-01-01T00:00:00Z",
      };
      const minute = (at: Date) => at.toISOString().slice(0, 16).replace("T", " ");
      const row = page.locator("tbody tr").filter({ hasText: name });
      const shown = () => row.locator("th, td").allTextContents();
      await tell(alert);
      await go("/alerts");
      assert.deepEqual(await shown(), [name, "firing", "page", "gateway", "Burns <b>fast</b>", minute(since), ""]);
      assert.equal(await row.locator("th a").getAttribute("href"), "https://runbooks.example/burns");
      await accessible(page, "operator-alerts-firing");
      await tell({ ...alert, status: "resolved", endsAt: until.toISOString() });
      await go("/alerts");
      assert.deepEqual(await shown(), [name, "over", "page", "gateway", "Burns <b>fast</b>", minute(since), minute(until)]);
    },
  ],
];
