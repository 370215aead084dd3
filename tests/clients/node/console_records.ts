// Types, records, filters and exports, as the owner works with them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { api, go, page, path, seen } from "./console.js";
import type { Check } from "./helper.js";
import { accessible, press, pressByKey, text } from "./pages_helper.js";

export const records: Check[] = [
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
      seen.ticket = path();
      assert.match(seen.ticket, /^\/types\/tickets\/records\/[0-9a-f-]{36}$/);
      assert.equal(await page.inputValue('[id="f.cost"]'), "12.34");
      assert.match(await page.inputValue('[id="f.seen"]'), /^2026-11-23T09:30(:00)?$/);
      assert.equal(await page.locator("main b").count(), 0, "what people type is text");
      await accessible(page, "console-record");
      // Somebody else is faster.
      await api("PATCH", `/v1/objectTypes/tickets/records/${seen.ticket.split("/").pop()}?updateMask=fields.priority`, { fields: { priority: 9 } });
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
    "a record is deleted after a question that names it, and not while somebody else has changed it",
    async () => {
      const { name } = await api("POST", "/v1/objectTypes/tickets/records", { fields: { title: "Never mind", status: "open" } });
      const at = `/${name.replace("objectTypes/", "types/")}`;
      await go(at);
      await press(page, 'main a:text-is("Delete")');
      assert.equal(path(), `${at}/delete`);
      assert.match(await text(page), /“Never mind” is removed\. Only a backup brings it back\./);
      await accessible(page, "console-record-delete");
      await api("PATCH", `/v1/${name}?updateMask=fields.priority`, { fields: { priority: 1 } });
      await press(page, "main form button.danger");
      assert.match(await text(page), /ETAG_MISMATCH/);
      await accessible(page, "console-record-delete-refused");
      await press(page, 'main a:text-is("Back")');
      assert.equal(await page.inputValue('[id="f.priority"]'), "1", "it is still there");
      await press(page, 'main a:text-is("Delete")');
      await pressByKey(page, "main form button.danger");
      assert.equal(path(), "/types/tickets/records");
      assert.match(await text(page), /Deleted\./);
      assert.equal(await page.locator('tbody tr:has-text("Never mind")').count(), 0);
      await go(at, 404);
    },
  ],
];
