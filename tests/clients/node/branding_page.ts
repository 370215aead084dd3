// The branding editor in headless Chromium: a draft with its live preview, publishing by keyboard alone, what a colour
// cannot carry, the way back, the same without script, and readable pages in light, dark and forced colours.
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { eventually, newTenant, ok, rest, run } from "./helper.js";
import { accessible, at, launch, open, press, pressByKey, signIn, tabTo, text } from "./pages_helper.js";

const tenant = await newTenant("brand", "Brand Company");
const PASSWORD = "correct horse battery staple 9";
const browser = await launch();
const complaints: string[] = [];
const [, page] = await open(browser, complaints);
const [, guest] = await open(browser, complaints);
const [, plain] = await open(browser, complaints, false);
const screenshots = process.env.TENANTRY_SCREENSHOTS ?? "target/screenshots";
const url = (path: string) => at(tenant.slug, path);
const go = async (path: string, status = 200, on: Page = page) => {
  const answer = await on.goto(url(path));
  assert.equal(answer?.status(), status, `${path}: ${await text(on)}`);
};
const path = (on: Page = page) => new URL(on.url()).pathname;
const rgb = (hex: string) => `rgb(${[1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)).join(", ")})`;
const background = (on: Page, selector: string) =>
  on.locator(selector).first().evaluate((element) => getComputedStyle(element).backgroundColor);
const theme = async () => (await rest(tenant.host, "GET", "/theme.css")).text;
const wears = (color: string) => eventually(`pages wear ${color}`, async () => ((await theme()).includes(`--brand:${color}`) ? true : undefined));

await run([
  [
    "by keyboard alone: a draft, its preview as one types, and publishing it",
    async () => {
      await signIn(page, tenant.slug, tenant.email, tenant.password);
      await go("/branding");
      assert.match(await text(page), /Nothing has been published yet/);
      await tabTo(page, "#display_name");
      await page.keyboard.type("Rote Fabrik");
      await tabTo(page, "#primary_color");
      await page.keyboard.press("Control+A");
      await page.keyboard.type("#b3261e");
      assert.equal(await page.locator(".preview-light strong").textContent(), "Rote Fabrik");
      assert.equal(await page.inputValue("#picker"), "#b3261e");
      // The preview is dressed before anything is saved; the page around it is not.
      await page.waitForFunction((color) => getComputedStyle(document.querySelector(".preview-button")!).backgroundColor === color, rgb("#b3261e"));
      assert.notEqual(await background(page, "main button"), rgb("#b3261e"));
      await page.keyboard.press("Enter");
      await page.waitForURL(/done=draft/);
      assert.match(await text(page), /not published/);
      assert.ok(!(await theme()).includes("#b3261e"), "a draft is not shown to anybody");
      await accessible(page, "branding-draft");
      await pressByKey(page, 'form[action="/branding/publish"] button');
      assert.match(await text(page), /Published\./);
      await wears("#b3261e");
      await go("/branding");
      assert.equal(await background(page, "main button"), rgb("#b3261e"));
      assert.equal(await page.locator('form[action="/branding/publish"]').count(), 0, "there is no draft any more");
      await accessible(page, "branding");
    },
  ],
  [
    "by keyboard alone: a draft is discarded after a question, and not while somebody else has changed it",
    async () => {
      const ask = async (button: string) => {
        await tabTo(page, 'form[action="/branding/discard"] button');
        await page.keyboard.press("Enter");
        await page.locator("dialog[open]").waitFor();
        assert.match((await page.textContent("dialog")) ?? "", /Throw the draft away\? It cannot be brought back\./);
        await tabTo(page, button);
      };
      const discard = async () => {
        await ask("dialog button.danger");
        await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
      };
      await page.fill("#primary_color", "#00695c");
      await press(page, "form[aria-labelledby=edit] button");
      await accessible(page, "branding-discard");
      await ask("dialog button:not(.danger)");
      await page.keyboard.press("Enter");
      await page.locator("dialog").waitFor({ state: "detached" });
      assert.equal(await page.inputValue("#primary_color"), "#00695c", "a no changes nothing");
      await ok(tenant.host, "PATCH", "/v1/branding/draft?updateMask=displayName", { displayName: "Else" }, tenant.token);
      await discard();
      assert.match(await text(page), /ETAG_MISMATCH/);
      await discard();
      assert.match(await text(page), /The draft is discarded/);
      assert.equal(await page.inputValue("#primary_color"), "#b3261e");
      assert.equal(await page.inputValue("#display_name"), "Rote Fabrik");
      assert.equal(await page.locator('form[action="/branding/discard"]').count(), 0, "there is no draft any more");
      assert.ok((await theme()).includes("--brand:#b3261e"), "what is published stays");
      await accessible(page, "branding-discarded");
    },
  ],
  [
    "a colour that cannot carry text stays as decoration, and the editor says so",
    async () => {
      await page.fill("#primary_color", "#ffee00");
      await press(page, "form[aria-labelledby=edit] button");
      assert.match((await page.textContent("#notes")) ?? "", /#ffee00 has a contrast of 1\.\d:1 .* cannot be a button/);
      assert.notEqual(await background(page, ".preview-light .preview-button"), rgb("#ffee00"));
      assert.equal(await background(page, ".preview-light .mark"), rgb("#ffee00"));
      await accessible(page, "branding-yellow");
      await press(page, 'form[action="/branding/publish"] button');
      await wears("#ffee00");
      await go("/");
      await accessible(page, "branding-yellow-home");
    },
  ],
  [
    "an earlier revision is published again",
    async () => {
      await go("/branding");
      assert.equal(await page.locator("tbody tr:has(form)").count(), 1);
      await pressByKey(page, 'form[action="/branding/rollback"] button');
      assert.match(await text(page), /published again/);
      await wears("#b3261e");
      assert.match(await text(page), /you/, "the history names who published");
    },
  ],
  [
    "what was typed wrongly is said, and somebody else's change is not lost",
    async () => {
      await go("/branding");
      await page.fill("#support_uri", "http://plain.example");
      await press(page, "form[aria-labelledby=edit] button");
      assert.match(await text(page), /https:\/\/ link/);
      assert.equal(await page.inputValue("#support_uri"), "http://plain.example");
      await accessible(page, "branding-refused");
      await go("/branding");
      await ok(tenant.host, "PATCH", "/v1/branding/draft?updateMask=displayName", { displayName: "Else" }, tenant.token);
      await page.fill("#display_name", "Mine");
      await press(page, "form[aria-labelledby=edit] button");
      assert.match(await text(page), /ETAG_MISMATCH/);
    },
  ],
  [
    "always light and always dark hold whatever the system says; forced colours win over both",
    async () => {
      for (const mode of ["THEME_MODE_DARK", "THEME_MODE_LIGHT", "THEME_MODE_AUTO"]) {
        await ok(tenant.host, "PATCH", "/v1/branding?updateMask=themeMode", { themeMode: mode }, tenant.token);
        const fixed = mode !== "THEME_MODE_AUTO";
        await eventually(mode, async () => ((await theme()).includes("@media (prefers-color-scheme") !== fixed ? true : undefined));
        const seen: string[] = [];
        for (const colorScheme of ["light", "dark"] as const) {
          await page.emulateMedia({ colorScheme });
          await go("/");
          seen.push(await background(page, "body"));
        }
        assert.equal(seen[0] === seen[1], fixed, `${mode}: ${seen}`);
      }
      await page.emulateMedia({ forcedColors: "active", colorScheme: "dark" });
      await go("/branding");
      await page.screenshot({ path: join(screenshots, "branding-forced-colors.png"), fullPage: true });
      await page.emulateMedia({ forcedColors: "none", colorScheme: "light" });
    },
  ],
  [
    "the style sheet is sent again only when it has changed",
    async () => {
      await go("/");
      const ask = (etag: string) =>
        page.evaluate(async (known) => {
          const answer = await fetch("/theme.css", { headers: known ? { "if-none-match": known } : {}, cache: "no-store" });
          return { status: answer.status, etag: answer.headers.get("etag") ?? "" };
        }, etag);
      const first = await ask("");
      assert.ok(first.etag.length > 8 && first.status === 200);
      assert.equal((await ask(first.etag)).status, 304);
      await ok(tenant.host, "PATCH", "/v1/branding?updateMask=primaryColor", { primaryColor: "#00695c" }, tenant.token);
      await wears("#00695c");
      assert.equal((await ask(first.etag)).status, 200);
    },
  ],
  [
    "a member has no editor",
    async () => {
      const address = `vera@${tenant.slug}.example`;
      const invited = await ok(tenant.host, "POST", "/v1/users", { email: address, role: "ROLE_MEMBER" }, tenant.token);
      await ok(tenant.host, "POST", "/v1/auth:acceptLink", { linkToken: String(invited.inviteUri).split("token=")[1], password: PASSWORD });
      await signIn(guest, tenant.slug, address, PASSWORD);
      assert.equal(await guest.locator('nav a[href="/branding"]').count(), 0);
      await go("/branding", 403, guest);
    },
  ],
  [
    "without script a draft is saved, discarded, seen in its preview and published all the same",
    async () => {
      await signIn(plain, tenant.slug, tenant.email, tenant.password);
      await go("/branding", 200, plain);
      // The test before left a draft.
      await press(plain, 'form[action="/branding/discard"] button');
      assert.match(await text(plain), /The draft is discarded/);
      assert.equal(await plain.inputValue("#primary_color"), "#00695c");
      await plain.fill("#primary_color", "#1565c0");
      await press(plain, "form[aria-labelledby=edit] button");
      assert.equal(await background(plain, ".preview-light .preview-button"), rgb("#1565c0"));
      await press(plain, 'form[action="/branding/publish"] button');
      await wears("#1565c0");
      assert.equal(path(plain), "/branding");
    },
  ],
  [
    "what is typed is measured as one types, and the older draft cannot be published over it",
    async () => {
      await go("/branding");
      await page.fill("#primary_color", "#33691e");
      await press(page, "form[aria-labelledby=edit] button");
      const publish = page.locator('form[action="/branding/publish"] button');
      assert.ok(await publish.isEnabled());
      await page.locator("#picker").evaluate((picker: HTMLInputElement) => {
        picker.value = "#ffee00";
        picker.dispatchEvent(new Event("input", { bubbles: true }));
      });
      assert.equal(await page.inputValue("#primary_color"), "#ffee00");
      await page.waitForFunction(() => /#ffee00 has a contrast of/.test(document.querySelector("#notes")?.textContent ?? ""));
      assert.ok(await publish.isDisabled());
      assert.ok(await page.locator("#unsaved").isVisible());
      await accessible(page, "branding-unsaved");
      await page.fill("#primary_color", "#33691e");
      assert.ok(await publish.isEnabled(), "as in the draft again");
      await page.fill("#primary_color", "#00695c");
      await press(page, 'button[name="publish"]');
      assert.match(await text(page), /Published\./);
      await wears("#00695c");
    },
  ],
  ["no page broke its own content security policy or logged an error", async () => assert.deepEqual(complaints, [])],
]);
