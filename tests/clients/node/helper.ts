// Shared by the Node clients: a tenant of its own for each script, made over REST as the operator, and a tiny checker.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import type { LookupFunction } from "node:net";

/** The running instance, as it describes itself. */
export const world = JSON.parse(readFileSync(process.env.TENANTRY_WORLD ?? "", "utf8"));
export const port: number = world.ports.gateway;
const PASSWORD = "correct horse battery staple 7";

export interface Tenant {
  id: string;
  slug: string;
  /** `<slug>.localhost:<port>` */
  host: string;
  email: string;
  password: string;
  /** Access token of the owner. */
  token: string;
}
export interface Reply {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  json: any;
  text: string;
}

/** `*.localhost` does not resolve everywhere: the gateway's address is dialled and the host is named. */
export const toLoopback: LookupFunction = (_host, options, done) =>
  options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4);

export function rest(host: string, method: string, path: string, body?: unknown, token?: string): Promise<Reply> {
  const headers: Record<string, string> = { host };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (token) headers.authorization = `Bearer ${token}`;
  return new Promise((resolve, reject) => {
    const call = request({ host: "127.0.0.1", port, method, path, headers }, (answer) => {
      const parts: Buffer[] = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => {
        const text = Buffer.concat(parts).toString("utf8");
        let json: any = null;
        try {
          json = JSON.parse(text);
        } catch {
          // Pages are not JSON.
        }
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, json, text });
      });
    });
    call.on("error", reject);
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

export async function ok(host: string, method: string, path: string, body?: unknown, token?: string): Promise<any> {
  const reply = await rest(host, method, path, body, token);
  assert.ok(reply.status >= 200 && reply.status < 300, `${method} ${path}: ${reply.status} ${reply.text}`);
  return reply.json;
}

export async function eventually<T>(what: string, probe: () => Promise<T | undefined>): Promise<T> {
  const end = Date.now() + 60_000;
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`${what}: not within a minute`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export async function newTenant(prefix: string, displayName = "Node Test"): Promise<Tenant> {
  const operatorHost = `operator.localhost:${port}`;
  const signedIn = await ok(operatorHost, "POST", "/v1/auth:signIn", {
    email: world.operator.email,
    password: world.operator.password,
  });
  const slug = `${prefix}${randomBytes(6).toString("hex")}`;
  const email = `owner@${slug}.example`;
  const path = `/v1/tenants?adminEmail=${encodeURIComponent(email)}&adminDisplayName=Olga`;
  const started = await ok(operatorHost, "POST", path, { slug, displayName, plan: "plans/team" }, signedIn.accessToken);
  const done = await eventually("onboarding", async () => {
    const now = await ok(operatorHost, "GET", `/v1/${started.name}`, undefined, signedIn.accessToken);
    return now.done ? now : undefined;
  });
  assert.ok(done.response, `onboarding failed: ${JSON.stringify(done)}`);
  const host = `${slug}.localhost:${port}`;
  const linkToken = String(done.response.inviteUri).split("token=")[1];
  await eventually("the invite link", async () => {
    const reply = await rest(host, "POST", "/v1/auth:acceptLink", { linkToken, password: PASSWORD });
    return reply.status === 200 ? true : undefined;
  });
  const owner = await ok(host, "POST", "/v1/auth:signIn", { email, password: PASSWORD });
  return { id: done.response.tenant.tenantId, slug, host, email, password: PASSWORD, token: owner.accessToken };
}

/** The types that the clients work with. */
export async function helpDesk(tenant: Tenant): Promise<void> {
  const fields = [
    { fieldId: "title", type: "FIELD_TYPE_STRING", required: true, maxLength: 100 },
    { fieldId: "status", type: "FIELD_TYPE_ENUM", enumValues: ["open", "closed"], indexed: true },
    { fieldId: "priority", type: "FIELD_TYPE_INT64", indexed: true },
  ];
  await ok(tenant.host, "POST", "/v1/objectTypes", { name: "objectTypes/tickets", displayName: "Tickets", fields }, tenant.token);
}

/** What is held, and how it is checked. */
export type Check = [string, () => Promise<void>];

/** Runs named checks one after the other and ends the process with their verdict. */
export async function run(checks: Check[]): Promise<void> {
  let failed = 0;
  for (const [name, check] of checks) {
    try {
      await check();
      console.log(`ok   ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL ${name}: ${error instanceof Error ? error.stack : String(error)}`);
    }
  }
  console.log(`${checks.length - failed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
}
