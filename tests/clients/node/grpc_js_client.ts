// grpc-js with protos loaded at run time, as many Node services do.
import assert from "node:assert/strict";
import * as grpc from "@grpc/grpc-js";
import * as loader from "@grpc/proto-loader";
import { helpDesk, newTenant, port, run } from "./helper.js";

const definition = loader.loadSync(
  ["tenantry/business/v1/record_service.proto", "tenantry/auth/v1/login_service.proto", "google/rpc/error_details.proto", "google/rpc/status.proto"],
  { includeDirs: [process.env.TENANTRY_PROTO ?? "proto"], keepCase: false, longs: String, enums: String, defaults: true },
);
const root = grpc.loadPackageDefinition(definition) as any;
const tenant = await newTenant("js");
await helpDesk(tenant);

// The gateway is dialled by address; the authority names the tenant.
const options = { "grpc.default_authority": tenant.host };
const records = new root.tenantry.business.v1.RecordService(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), options);
const login = new root.tenantry.auth.v1.LoginService(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), options);
const metadata = new grpc.Metadata();
metadata.set("authorization", `Bearer ${tenant.token}`);

function call(client: any, method: string, message: object, meta = metadata): Promise<any> {
  return new Promise((resolve, reject) => {
    client[method](message, meta, { deadline: Date.now() + 15_000 }, (error: grpc.ServiceError | null, answer: any) =>
      error ? reject(error) : resolve(answer),
    );
  });
}
const text = (value: string) => ({ fields: { title: { stringValue: value } } });
const parent = "objectTypes/tickets";

await run([
  [
    "sign in; a wrong password is refused",
    async () => {
      const good = await call(login, "signIn", { email: tenant.email, password: tenant.password }, new grpc.Metadata());
      assert.ok(good.accessToken);
      const bad = call(login, "signIn", { email: tenant.email, password: "not the password" }, new grpc.Metadata());
      await assert.rejects(bad, (error: grpc.ServiceError) => error.code === grpc.status.UNAUTHENTICATED);
    },
  ],
  [
    "create, get, list page by page, delete",
    async () => {
      const names = new Set<string>();
      for (let n = 0; n < 5; n += 1) {
        const { record } = await call(records, "createRecord", { parent, record: { fields: text(`t${n}`) } });
        names.add(record.name);
      }
      const seen = new Set<string>();
      let pageToken = "";
      do {
        const page = await call(records, "listRecords", { parent, pageSize: 2, pageToken });
        assert.ok(page.records.length <= 2);
        for (const record of page.records) seen.add(record.name);
        pageToken = page.nextPageToken;
      } while (pageToken);
      assert.deepEqual(seen, names);
      for (const name of names) await call(records, "deleteRecord", { name });
    },
  ],
  [
    "a refusal has status details",
    async () => {
      const error = await call(records, "getRecord", { name: `${parent}/records/nope` }).then(
        () => assert.fail("it worked"),
        (error: grpc.ServiceError) => error,
      );
      const raw = error.metadata.get("grpc-status-details-bin")[0];
      assert.ok(raw instanceof Buffer && raw.includes("google.rpc.ErrorInfo"), "no ErrorInfo");
      assert.ok(error.metadata.get("x-request-id")[0], "no request id");
    },
  ],
  [
    "watch: a server stream, cancelled by the client",
    async () => {
      const stream = records.watchRecords({}, metadata);
      let name = "";
      await new Promise<void>((resolve, reject) => {
        stream.on("error", (error: grpc.ServiceError) => (error.code === grpc.status.CANCELLED ? resolve() : reject(error)));
        stream.on("data", async (message: any) => {
          if (!name) {
            name = "asked";
            name = (await call(records, "createRecord", { parent, record: { fields: text("streamed") } })).record.name;
          } else if (message.changes.some((change: any) => change.record.name === name)) {
            stream.cancel();
          }
        });
      });
    },
  ],
]);
