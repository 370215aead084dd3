// The pictures of the README, taken from an instance with the examples: tests/clients/run.sh pictures. It makes the tenant
// initech, so it runs once on a fresh `make up`.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Page } from "playwright-core";
import { world } from "./helper.js";
import { at, launch, open, press, signIn } from "./pages_helper.js";

const OUT = process.env.TENANTRY_PICTURES ?? "docs/screenshots";
const WIDTH = 1000;
const SHORT = 760;
const TALL = 1160;

interface Example {
  slug: string;
  members: { email: string; password: string; role: string }[];
}
const secrets = join(dirname(process.env.TENANTRY_WORLD ?? ""), "secrets/examples.json");
const examples: Example[] = JSON.parse(readFileSync(secrets, "utf8")).tenants;

const browser = await launch();
const complaints: string[] = [];

/** A window in which somebody has signed in. */
async function of(slug: string, email: string, password: string): Promise<Page> {
  const [, page] = await open(browser, complaints);
  await signIn(page, slug, email, password);
  return page;
}
async function owner(slug: string): Promise<Page> {
  const member = examples.find((one) => one.slug === slug)?.members.find((one) => one.role === "owner");
  if (!member) throw new Error(`${secrets} has no owner of ${slug}: load the examples first`);
  return of(slug, member.email, member.password);
}
async function take(page: Page, name: string, height: number): Promise<void> {
  await page.setViewportSize({ width: WIDTH, height });
  await page.screenshot({ path: join(OUT, `${name}.png`) });
  console.log(`${name}.png`);
}

for (const slug of ["acme", "globex"]) {
  const page = await owner(slug);
  await page.goto(at(slug, "/backups"));
  await press(page, 'main form[action="/backups"] button[type="submit"]');
  await page.locator("[data-ended]").waitFor();
  await page.goto(at(slug, "/"));
  await take(page, `home-${slug}`, 862);
}

const acme = await owner("acme");
await acme.setViewportSize({ width: WIDTH, height: TALL });
await acme.goto(at("acme", "/branding"));
await acme.fill("#primary_color", "#7c3aed");
// The preview wears it a moment after it was typed.
await acme.waitForFunction(() => document.querySelector<HTMLInputElement>("input[type=color]")?.value === "#7c3aed");
await acme.waitForLoadState("networkidle");
await acme.locator("#primary_color").blur();
await take(acme, "branding", TALL);

const operator = await of("operator", world.operator.email, world.operator.password);
await operator.goto(at("operator", "/tenants/new"));
await operator.fill("#slug", "initech");
await operator.fill("#name", "Initech");
await operator.selectOption("#plan", { label: "Team" });
await operator.fill("#email", "owner@initech.example");
await press(operator, 'main button[type="submit"]');
await operator.locator("#secret").waitFor();
await take(operator, "onboarding", SHORT);
await operator.goto(at("operator", "/"));
await take(operator, "tenants", SHORT);
await press(operator, 'tbody a:text-is("acme")');
await take(operator, "tenant", TALL);

await browser.close();
if (complaints.length > 0) throw new Error(complaints.join("\n"));
