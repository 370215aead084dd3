// One organisation with its windows (the owner's, a guest's, one without script), for the checks of its console.
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { newTenant, ok } from "./helper.js";
import { at, launch, open, text } from "./pages_helper.js";

export const NAME = "Rote Fabrik";
export const tenant = await newTenant("con", NAME);
await ok(tenant.host, "PATCH", "/v1/branding?updateMask=displayName,primaryColor", { displayName: NAME, primaryColor: "#b3261e" }, tenant.token);
export const PASSWORD = "correct horse battery staple 8";

export const browser = await launch();
export const complaints: string[] = [];
export const [, page] = await open(browser, complaints);
export const [, guest] = await open(browser, complaints);
export const [, plain] = await open(browser, complaints, false);
export const url = (path: string) => at(tenant.slug, path);
/** A program's call as the owner, with a token that is not too old: access tokens live five minutes. */
let token = { value: tenant.token, at: Date.now() };
export async function api(method: string, path: string, body?: unknown): Promise<any> {
  if (Date.now() - token.at > 120_000) {
    const signedIn = await ok(tenant.host, "POST", "/v1/auth:signIn", { email: tenant.email, password: tenant.password });
    token = { value: signedIn.accessToken, at: Date.now() };
  }
  return ok(tenant.host, method, path, body, token.value);
}
export const go = async (path: string, status = 200, on: Page = page) => {
  const answer = await on.goto(url(path));
  assert.equal(answer?.status(), status, `${path}: ${await text(on)}`);
  const policy = answer?.headers()["content-security-policy"] ?? "";
  assert.ok(policy.includes("default-src 'none'") && !policy.includes("unsafe"), policy);
};
export const path = (on: Page = page) => new URL(on.url()).pathname;
export const START = 'main form[aria-labelledby="start"] button';

/** What an earlier check has made: addresses, and the e-mail of the invited viewer. */
export const seen = { viewer: "", ticket: "", importPath: "", snapshotPath: "", operationPath: "" };

/** Follows an operation's page until it says how it ended; the script reloads it by itself. */
export async function finished(on: Page): Promise<void> {
  await on.waitForFunction(() => /\b(Done|Failed|Stopped)\b/.test(document.querySelector("section[aria-labelledby=operation] label")?.textContent ?? ""), undefined, { timeout: 60_000 });
}
