// The pages of somebody who is not signed in, in headless Chromium: brand, wrong password, signing in and out, cookie,
// invitations, what an error means, a host that is nobody's, content security policy, and no accessibility violation.
import assert from "node:assert/strict";
import { get } from "node:http";
import { newTenant, ok, run } from "./helper.js";
import { accessible, at, launch, open, press, signIn, text } from "./pages_helper.js";

const BRAND = "#b3261e";
const NAME = "Rote Fabrik";
const PASSWORD = "correct horse battery staple 9";
const tenant = await newTenant("web", NAME);
const other = await newTenant("webb", "Other Company");
await ok(tenant.host, "PATCH", "/v1/branding?updateMask=displayName,primaryColor", { displayName: NAME, primaryColor: BRAND }, tenant.token);

const browser = await launch();
const complaints: string[] = [];
const [context, page] = await open(browser, complaints);
const url = (path: string) => at(tenant.slug, path);
const path = () => new URL(page.url()).pathname;
const sessionCookie = async () => (await context.cookies(url("/"))).find((cookie) => cookie.name.startsWith("__Host-"));
const rgb = (hex: string) => `rgb(${[1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)).join(", ")})`;
/** Chooses a password on the page of a one-time link. */
async function choose(password: string, again = password): Promise<void> {
  await page.fill("#password", password);
  await page.fill("#again", again);
  await press(page, 'button[type="submit"]');
}

await run([
  [
    "the page shows the tenant's name and colour",
    async () => {
      const answer = await page.goto(url("/sign-in"));
      assert.equal(answer?.status(), 200);
      const csp = answer?.headers()["content-security-policy"] ?? "";
      assert.ok(csp.includes("default-src 'none'") && !csp.includes("unsafe"), `policy: ${csp}`);
      assert.ok((await text(page)).includes(NAME), "the name is missing");
      const colour = await page.locator('button[type="submit"]').evaluate((button) => getComputedStyle(button).backgroundColor);
      assert.equal(colour, rgb(BRAND));
      await accessible(page, "sign-in");
    },
  ],
  [
    "a wrong password says so and signs nobody in",
    async () => {
      await signIn(page, tenant.slug, tenant.email, "certainly not the password");
      assert.match(await text(page), /wrong|not correct|incorrect|does not match/i);
      assert.equal(await page.inputValue("#email"), tenant.email, "what was typed is still there");
      assert.equal(await sessionCookie(), undefined);
      await accessible(page, "sign-in-refused");
    },
  ],
  [
    "the right password leads to the tenant's home page",
    async () => {
      await signIn(page, tenant.slug, tenant.email, tenant.password);
      assert.equal(path(), "/");
      const body = await text(page);
      assert.ok(body.includes(NAME) && body.includes(tenant.email), body);
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
      const answer = await fetchWithCookie(at(other.slug, "/v1/sessions/current"), `${cookie.name}=${cookie.value}`);
      assert.ok(answer === 401 || answer === 404, `status ${answer}`);
    },
  ],
  [
    "signing out ends it",
    async () => {
      const before = await sessionCookie();
      await page.goto(url("/"));
      await press(page, 'form[action="/sign-out"] button');
      assert.match(await text(page), /You are signed out\./);
      assert.equal(await sessionCookie(), undefined, "the cookie is still there");
      await page.goto(url("/"));
      assert.ok(!(await text(page)).includes(tenant.email), "still signed in");
      assert.ok(before);
      const status = await fetchWithCookie(url("/v1/sessions/current"), `${before.name}=${before.value}`);
      assert.equal(status, 401, "the old cookie still works");
    },
  ],
  [
    "an invitation sets a password once, a wrong one says so",
    async () => {
      const email = `vera@${tenant.slug}.example`;
      const invited = await ok(tenant.host, "POST", "/v1/users", { email, role: "ROLE_MEMBER" }, tenant.token);
      const { pathname, search } = new URL(invited.inviteUri);
      await page.goto(url("/accept?token=invented"));
      await choose(PASSWORD);
      assert.match(await text(page), /The link was used already or has expired/);
      await accessible(page, "accept-refused");
      await page.goto(url(pathname + search));
      await accessible(page, "accept");
      await choose(PASSWORD, "something else altogether");
      assert.match(await text(page), /The two passwords are not the same/);
      await choose(PASSWORD);
      assert.equal(path(), "/sign-in");
      assert.match(await text(page), /Your password is set\./);
      await accessible(page, "sign-in-password-set");
      await page.goto(url(pathname + search));
      await choose(PASSWORD);
      assert.match(await text(page), /The link was used already or has expired/);
      await signIn(page, tenant.slug, email, PASSWORD);
      assert.equal(path(), "/");
    },
  ],
  [
    "an error's own page says what it means and what helps",
    async () => {
      const answer = await page.goto(url("/errors/NOT_FOUND"));
      assert.equal(answer?.status(), 200);
      assert.match(await text(page), /NOT_FOUND[^]*What it means[^]*What helps[^]*HTTP 404/);
      await accessible(page, "error-not-found");
      // The longest reason has no space in it.
      await page.goto(url("/errors/IDEMPOTENCY_IN_PROGRESS"));
      await accessible(page, "error-longest");
      assert.equal((await page.goto(url("/errors/NO_SUCH_REASON")))?.status(), 404);
      assert.match(await text(page), /There is nothing at this address\./);
    },
  ],
  [
    "an unknown host gets a neutral page",
    async () => {
      const answer = await page.goto(at(`nobody-${Date.now()}`, "/sign-in"));
      assert.equal(answer?.status(), 404);
      assert.match(await text(page), /There is nothing at this address\./);
      assert.ok(!(await text(page)).includes(NAME));
      assert.equal(await page.locator("main a:text-is('Home')").count(), 0, "there is no way home");
      await accessible(page, "unknown-host");
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
