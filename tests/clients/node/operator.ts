// The operators' host with its windows (an operator's, a viewer's, one without script), for the checks of its pages.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { Page } from "playwright-core";
import { ok, port, world } from "./helper.js";
import { at, launch, open, text } from "./pages_helper.js";

export const host = `operator.localhost:${port}`;
export const PASSWORD = "correct horse battery staple 9";
export const { email, password } = world.operator;
/** Access token of the operator. */
export const operator = (await ok(host, "POST", "/v1/auth:signIn", { email, password })).accessToken;

const browser = await launch();
export const complaints: string[] = [];
export const [, page] = await open(browser, complaints);
export const [, guest] = await open(browser, complaints);
export const [, plain] = await open(browser, complaints, false);
export const url = (path: string) => at("operator", path);
export const go = async (path: string, status = 200, on: Page = page) => {
  const answer = await on.goto(url(path));
  assert.equal(answer?.status(), status, `${path}: ${await text(on)}`);
  const policy = answer?.headers()["content-security-policy"] ?? "";
  assert.ok(policy.includes("default-src 'none'") && !policy.includes("unsafe"), policy);
};
export const path = (on: Page = page) => new URL(on.url()).pathname;
export const unique = (prefix: string) => `${prefix}${randomBytes(6).toString("hex")}`;
/** The plan that a check makes. */
export const plan = unique("plan");
