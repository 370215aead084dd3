// The generated TypeScript client over gRPC and over gRPC-Web.
import assert from "node:assert/strict";
import { Code, ConnectError, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { ErrorInfoSchema, BadRequestSchema } from "./gen/google/rpc/error_details_pb.js";
import { LoginService } from "./gen/tenantry/auth/v1/login_service_pb.js";
import { SessionService } from "./gen/tenantry/auth/v1/session_service_pb.js";
import { ObjectTypeService } from "./gen/tenantry/business/v1/object_type_service_pb.js";
import { ChangeKind, RecordService } from "./gen/tenantry/business/v1/record_service_pb.js";
import { FieldType } from "./gen/tenantry/business/v1/record_pb.js";
import { newTenant, run, toLoopback, type Tenant } from "./helper.js";

const tenant = await newTenant("ts");
const other = await newTenant("tsb");

function bearer(token?: string): Interceptor {
  return (next) => (request) => {
    if (token) request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
}
function overGrpc(at: Tenant, token?: string): Transport {
  return createGrpcTransport({
    baseUrl: `http://${at.host}`,
    interceptors: [bearer(token)],
    nodeOptions: { lookup: toLoopback } as object,
  });
}
function overGrpcWeb(at: Tenant, token?: string): Transport {
  return createGrpcWebTransport({
    baseUrl: `http://${at.host}`,
    httpVersion: "1.1",
    interceptors: [bearer(token)],
    nodeOptions: { lookup: toLoopback },
  });
}

async function refused(code: Code, call: () => Promise<unknown>): Promise<ConnectError> {
  try {
    await call();
  } catch (error) {
    const refusal = ConnectError.from(error);
    assert.equal(Code[refusal.code], Code[code], refusal.message);
    return refusal;
  }
  throw new Error(`expected ${Code[code]}, it worked`);
}
const reason = (error: ConnectError) => error.findDetails(ErrorInfoSchema)[0]?.reason;
const parent = "objectTypes/tickets";

async function crud(transport: Transport, title: string): Promise<void> {
  const records = createClient(RecordService, transport);
  const { record: made } = await records.createRecord({ parent, record: { fields: { title, status: "open", priority: 3 } } });
  assert.ok(made);
  assert.ok(made.name.startsWith(`${parent}/records/`), "no name");
  const { record: read } = await records.getRecord({ name: made.name });
  assert.equal(read?.fields?.title, title);
  const { record: changed } = await records.updateRecord({
    record: { name: made.name, etag: made.etag, fields: { title: `${title} 2` } },
    updateMask: { paths: ["fields.title"] },
  });
  assert.deepEqual([changed?.fields?.title, changed?.fields?.status], [`${title} 2`, "open"]);
  assert.notEqual(changed?.etag, made.etag);
  const listed = await records.listRecords({ parent, filter: `title = "${title} 2"`, orderBy: "priority desc" });
  assert.deepEqual(listed.records.map((record) => record.name), [made.name]);
  await records.deleteRecord({ name: made.name });
  assert.equal(reason(await refused(Code.NotFound, () => records.getRecord({ name: made.name }))), "NOT_FOUND");
}

await run([
  [
    "sign in over gRPC and see who I am",
    async () => {
      const signedIn = await createClient(LoginService, overGrpc(tenant)).signIn({ email: tenant.email, password: tenant.password });
      assert.ok(signedIn.accessToken && signedIn.refreshToken);
      const me = await createClient(SessionService, overGrpc(tenant, signedIn.accessToken)).getCurrentSession({});
      assert.deepEqual([me.user?.email, me.tenantSlug], [tenant.email, tenant.slug]);
    },
  ],
  [
    "make a type",
    async () => {
      const types = createClient(ObjectTypeService, overGrpc(tenant, tenant.token));
      const { objectType } = await types.createObjectType({
        objectType: {
          name: parent,
          fields: [
            { fieldId: "title", type: FieldType.STRING, required: true, maxLength: 100 },
            { fieldId: "status", type: FieldType.ENUM, enumValues: ["open", "closed"] },
            { fieldId: "priority", type: FieldType.INT64, indexed: true },
          ],
        },
      });
      assert.equal(objectType?.fields.length, 3);
    },
  ],
  ["records over gRPC", () => crud(overGrpc(tenant, tenant.token), "by grpc")],
  ["records over gRPC-Web", () => crud(overGrpcWeb(tenant, tenant.token), "by grpc-web")],
  [
    "errors carry ErrorInfo and BadRequest, over both",
    async () => {
      for (const transport of [overGrpc(tenant, tenant.token), overGrpcWeb(tenant, tenant.token)]) {
        const records = createClient(RecordService, transport);
        const error = await refused(Code.InvalidArgument, () =>
          records.createRecord({ parent, record: { fields: { title: "x", priority: "high" } } }),
        );
        const info = error.findDetails(ErrorInfoSchema)[0];
        assert.ok(info?.reason && info.domain, "no ErrorInfo");
        const fields = error.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations.map((v) => v.field));
        assert.ok(fields.some((field) => field.includes("priority")), `violations: ${fields}`);
        assert.ok(error.metadata.get("x-request-id"), "no request id");
      }
    },
  ],
  [
    "no token, and the token of another tenant",
    async () => {
      const call = (token?: string) => () => createClient(RecordService, overGrpc(tenant, token)).listRecords({ parent });
      assert.equal(reason(await refused(Code.Unauthenticated, call())), "CREDENTIALS_MISSING");
      assert.equal(reason(await refused(Code.NotFound, call(other.token))), "NOT_FOUND");
    },
  ],
  [
    "watch sees what is written, over both",
    async () => {
      for (const transport of [overGrpc(tenant, tenant.token), overGrpcWeb(tenant, tenant.token)]) {
        const records = createClient(RecordService, transport);
        const stop = new AbortController();
        let written: string | undefined;
        const writer = createClient(RecordService, overGrpc(tenant, tenant.token));
        for await (const message of records.watchRecords({}, { signal: stop.signal })) {
          if (!written) {
            written = (await writer.createRecord({ parent, record: { fields: { title: "watched" } } })).record?.name;
            continue;
          }
          const change = message.changes.find((one) => one.record?.name === written);
          if (!change) continue;
          assert.equal(change.kind, ChangeKind.CREATED);
          assert.equal(change.record?.fields?.title, "watched");
          break;
        }
        stop.abort();
      }
    },
  ],
  [
    "a deadline ends a call on the client",
    async () => {
      const records = createClient(RecordService, overGrpc(tenant, tenant.token));
      await refused(Code.DeadlineExceeded, async () => {
        for await (const _ of records.watchRecords({}, { timeoutMs: 1500 })) {
          // Heartbeats come; the deadline ends the stream.
        }
      });
    },
  ],
]);
