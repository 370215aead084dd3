// Files that become records: what was understood, how far it is, what was wrong, how it is stopped.
import assert from "node:assert/strict";
import { api, finished, go, page, path, seen, START } from "./console.js";
import type { Check } from "./helper.js";
import { accessible, press, pressByKey, text } from "./pages_helper.js";

export const imports: Check[] = [
  [
    "an import shows what it understood, then how far it is, then the records",
    async () => {
      await go("/imports");
      await accessible(page, "console-import");
      const lines = Array.from({ length: 60_000 }, (_, n) => `Row ${n},${n}`);
      await page.setInputFiles("#file", { name: "Big list.csv", mimeType: "text/csv", buffer: Buffer.from(`name,amount\n${lines.join("\n")}\n`) });
      await press(page, 'main form button[type="submit"]');
      seen.importPath = path();
      assert.match(await text(page), /60.000 rows/);
      assert.match(await text(page), /whole number/);
      assert.equal(await page.inputValue("#new_type"), "big_list");
      await accessible(page, "console-import-uploaded");
      await pressByKey(page, START);
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
    "an import that is asked to stop does, and says what it wrote",
    async () => {
      // Every row is checked before one is written: with so many that alone takes longer than two presses.
      const rows = 400_000;
      await go("/imports");
      const numbers = Array.from({ length: rows }, (_, n) => n);
      await page.setInputFiles("#file", { name: "Stopped.csv", mimeType: "text/csv", buffer: Buffer.from(`amount\n${numbers.join("\n")}\n`) });
      await press(page, 'main form button[type="submit"]');
      assert.equal(await page.inputValue("#new_type"), "stopped");
      await press(page, START);
      await page.click('form[action$="/cancel"] button');
      await press(page, "dialog button.danger");
      assert.match(path(), /^\/operations\/business-/);
      assert.match(await text(page), /Asked to stop\./);
      await finished(page);
      assert.match(await text(page), /Stopped[^]*The import was stopped/);
      await accessible(page, "console-import-stopped");
      const { metadata } = await api("GET", `/v1${path()}`);
      const written = Number(metadata.doneUnits ?? 0);
      const said = ((await page.textContent("[data-said]")) ?? "").replaceAll("\u202f", "");
      assert.ok(said.endsWith(`, ${written} of ${rows}`), said);
      // The type that was made for the rows went with them, unless a batch was finished.
      await go("/types/stopped/records", written > 0 ? 200 : 404);
    },
  ],
];
