// Shared by the scripts that walk pages in headless Chromium: signing in, watching for complaints, checking accessibility
// in light and dark at two widths, and taking screenshots.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import { port } from "./helper.js";

const screenshots = process.env.TENANTRY_SCREENSHOTS ?? "target/screenshots";
mkdirSync(screenshots, { recursive: true });
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"];

export const at = (slug: string, path: string) => `http://${slug}.localhost:${port}${path}`;

export async function launch(): Promise<Browser> {
  const executablePath = process.env.TENANTRY_CHROMIUM ?? "/usr/bin/chromium";
  // As root (in a container) Chromium cannot use its own sandbox.
  const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return chromium.launch({ executablePath, args });
}

/** A window whose errors, warnings and policy violations end up in `complaints`. */
export async function open(browser: Browser, complaints: string[], script = true): Promise<[BrowserContext, Page]> {
  const context = await browser.newContext({ colorScheme: "light", javaScriptEnabled: script, viewport: { width: 1280, height: 900 } });
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  if (script) {
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} at ${location.pathname}`);
      });
    });
  }
  const page = await context.newPage();
  page.on("console", (message) => {
    // A refusal that is a 4xx page is reported as a resource error.
    const refusal = message.text().startsWith("Failed to load resource");
    if (["error", "warning"].includes(message.type()) && !refusal) complaints.push(`${page.url()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error}`));
  return [context, page];
}

export async function signIn(page: Page, slug: string, email: string, password: string, path = "/"): Promise<void> {
  const wanted = path === "/" ? "/sign-in" : path;
  await page.goto(at(slug, wanted));
  await page.fill('input[name="email"]', email);
  await page.fill('input[name="password"]', password);
  await press(page, 'button[type="submit"]');
}

/** Presses something that leads to another page, and waits for that. */
export async function press(page: Page, selector: string): Promise<void> {
  await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.locator(selector).first().click()]);
}

/** Every violation, in light and dark, at 320 and 1280 px; nothing may stick out at 320 px. */
export async function accessible(page: Page, name: string): Promise<void> {
  const found: string[] = [];
  for (const colorScheme of ["light", "dark"] as const) {
    for (const width of [320, 1280]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.setViewportSize({ width, height: 900 });
      await page.evaluate(AXE);
      const violations = await page.evaluate(async (tags) => {
        const axe = (globalThis as any).axe;
        const { violations } = await axe.run(document, { runOnly: { type: "tag", values: tags } });
        return violations.map((one: any) => `${one.id}: ${one.nodes.map((node: any) => `${node.target} ${node.failureSummary}`).join(" | ")}`);
      }, TAGS);
      found.push(...violations.map((text: string) => `${name} ${colorScheme} ${width}: ${text}`));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      if (wide > width) found.push(`${name} ${colorScheme}: ${wide} px wide at ${width}`);
    }
    await page.screenshot({ path: join(screenshots, `${name}-${colorScheme}.png`), fullPage: true });
  }
  await page.emulateMedia({ colorScheme: "light" });
  assert.deepEqual(found, []);
}

/** Presses Tab until the element has the focus. */
export async function tabTo(page: Page, selector: string): Promise<void> {
  for (let n = 0; n < 150; n += 1) {
    if (await page.evaluate((wanted) => document.activeElement?.matches(wanted) ?? false, selector)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`Tab does not reach ${selector} at ${page.url()}`);
}

/** Presses something that leads to another page, by keyboard alone, and waits for that. */
export async function pressByKey(page: Page, selector: string): Promise<void> {
  await tabTo(page, selector);
  await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.keyboard.press("Enter")]);
}

export const text = async (page: Page) => (await page.textContent("body")) ?? "";
