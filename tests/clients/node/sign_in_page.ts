// The sign-in page in headless Chromium: brand, wrong password, signing in and out, cookie, content security policy.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { chromium, type Page } from "playwright-core";
import { newTenant, ok, port, run } from "./helper.js";

const BRAND = "#b3261e";
const NAME = "Rote Fabrik";
const tenant = await newTenant("web", NAME);
const other = await newTenant("webb", "Other Company");
await ok(tenant.host, "PATCH", "/v1/branding?updateMask=displayName,primaryColor", { displayName: NAME, primaryColor: BRAND }, tenant.token);

const screenshots = process.env.TENANTRY_SCREENSHOTS ?? "target/screenshots";
mkdirSync(screenshots, { recursive: true });
const executablePath = process.env.TENANTRY_CHROMIUM ?? "/usr/bin/chromium";
// As root (in a container) Chromium cannot use its own sandbox.
const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
const browser = await chromium.launch({ executablePath, args });
const context = await browser.newContext({ colorScheme: "light" });
const page = await context.newPage();

const complaints: string[] = [];
page.on("console", (message) => {
  // A refused sign-in is a 4xx, which Chromium reports as a resource error.
  const refusal = message.text().startsWith("Failed to load resource");
  if (["error", "warning"].includes(message.type()) && !refusal) complaints.push(message.text());
});
page.on("pageerror", (error) => complaints.push(String(error)));
await context.addInitScript(() => {
  document.addEventListener("securitypolicyviolation", (event) => {
    console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`);
  });
});

const url = (path: string) => `http://${tenant.slug}.localhost:${port}${path}`;
const shoot = (name: string) => page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
async function signIn(at: Page, email: string, password: string): Promise<void> {
  await at.fill('input[name="email"]', email);
  await at.fill('input[name="password"]', password);
  await Promise.all([at.waitForLoadState("load"), at.click('button[type="submit"]')]);
  await at.waitForLoadState("networkidle");
}
const sessionCookie = async () => (await context.cookies(url("/"))).find((cookie) => cookie.name.startsWith("__Host-"));
const rgb = (hex: string) => `rgb(${[1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)).join(", ")})`;

await run([
  [
    "the page shows the tenant's name and colour",
    async () => {
      const answer = await page.goto(url("/sign-in"));
      assert.equal(answer?.status(), 200);
      const csp = answer?.headers()["content-security-policy"] ?? "";
      assert.ok(csp.includes("default-src 'none'") && !csp.includes("unsafe"), `policy: ${csp}`);
      assert.ok((await page.textContent("body"))?.includes(NAME), "the name is missing");
      const colour = await page.locator('button[type="submit"]').evaluate((button) => getComputedStyle(button).backgroundColor);
      assert.equal(colour, rgb(BRAND));
      await shoot("sign-in");
    },
  ],
  [
    "every field has a label, and the page has a language and a title",
    async () => {
      const unlabelled = await page.locator("input:visible").evaluateAll((inputs) =>
        inputs.filter((input) => !(input as HTMLInputElement).labels?.length && !input.getAttribute("aria-label")).length,
      );
      assert.equal(unlabelled, 0);
      assert.ok(await page.getAttribute("html", "lang"));
      assert.ok((await page.title()).length > 0);
    },
  ],
  [
    "a wrong password says so and signs nobody in",
    async () => {
      await signIn(page, tenant.email, "certainly not the password");
      const body = (await page.textContent("body")) ?? "";
      assert.match(body, /wrong|not correct|incorrect|does not match/i);
      assert.equal(await sessionCookie(), undefined);
      await shoot("sign-in-refused");
    },
  ],
  [
    "the right password leads to the tenant's home page",
    async () => {
      await page.goto(url("/sign-in"));
      await signIn(page, tenant.email, tenant.password);
      assert.ok(!new URL(page.url()).pathname.startsWith("/sign-in"), `still at ${page.url()}`);
      const body = (await page.textContent("body")) ?? "";
      assert.ok(body.includes(NAME) && body.includes(tenant.email), body);
      await shoot("home");
    },
  ],
  [
    "the cookie is __Host-, HttpOnly and for this host alone",
    async () => {
      const cookie = await sessionCookie();
      assert.ok(cookie, "no __Host- cookie");
      assert.ok(cookie.httpOnly && cookie.secure && cookie.path === "/", JSON.stringify(cookie));
      assert.ok(["Lax", "Strict"].includes(cookie.sameSite), cookie.sameSite);
      assert.equal(await page.evaluate(() => document.cookie), "");
    },
  ],
  [
    "the cookie of one tenant is worth nothing at another",
    async () => {
      const cookie = await sessionCookie();
      assert.ok(cookie);
      const at = `http://${other.slug}.localhost:${port}/v1/sessions/current`;
      const answer = await fetchWithCookie(at, `${cookie.name}=${cookie.value}`);
      assert.ok(answer === 401 || answer === 404, `status ${answer}`);
    },
  ],
  [
    "signing out ends it",
    async () => {
      const before = await sessionCookie();
      await page.goto(url("/"));
      await Promise.all([page.waitForLoadState("load"), page.locator('form[action*="sign-out"] button').first().click()]);
      await page.waitForLoadState("networkidle");
      assert.equal(await sessionCookie(), undefined, "the cookie is still there");
      await page.goto(url("/"));
      const body = (await page.textContent("body")) ?? "";
      assert.ok(!body.includes(tenant.email), "still signed in");
      assert.ok(before);
      const status = await fetchWithCookie(url("/v1/sessions/current"), `${before.name}=${before.value}`);
      assert.equal(status, 401, "the old cookie still works");
    },
  ],
  [
    "an unknown host gets a neutral page",
    async () => {
      const answer = await page.goto(`http://nobody-${Date.now()}.localhost:${port}/sign-in`);
      assert.equal(answer?.status(), 404);
      const body = (await page.textContent("body")) ?? "";
      assert.ok(!body.includes(NAME));
    },
  ],
  ["no page broke its own content security policy or logged an error", async () => assert.deepEqual(complaints, [])],
]);

async function fetchWithCookie(address: string, cookie: string): Promise<number> {
  const target = new URL(address);
  return new Promise((resolve, reject) => {
    const call = get(
      { host: "127.0.0.1", port: target.port, path: target.pathname, headers: { host: target.host, cookie } },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      },
    );
    call.on("error", reject);
  });
}
