-- Revocations (read by every verifier through WatchRevocations), security events, and the outbox, inbox and
-- idempotency tables.

CREATE TABLE auth.revocations (
    tenant_id   uuid        NOT NULL,
    seq         bigint      GENERATED ALWAYS AS IDENTITY,
    kind        text        NOT NULL CHECK (kind IN ('tenant', 'user', 'session', 'api_key')),
    subject     uuid,
    not_before  timestamptz NOT NULL,
    -- The writing transaction: a reader that goes by `seq` alone would miss a row that commits late.
    xid         xid8        NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
    create_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (tenant_id, seq)
);
CREATE INDEX revocations_xid ON auth.revocations (xid);
CREATE INDEX revocations_age ON auth.revocations (create_time);

CREATE TABLE auth.security_events (
    tenant_id   uuid        NOT NULL,
    id          uuid        NOT NULL,
    type        text        NOT NULL,
    actor       text        NOT NULL,
    subject     text        NOT NULL DEFAULT '',
    detail      jsonb       NOT NULL DEFAULT '{}',
    request_id  text        NOT NULL DEFAULT '',
    create_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX security_events_age ON auth.security_events (create_time);

SELECT tenancy.enable_rls('auth', 'revocations', ARRAY['tenantry_auth'], ARRAY['tenantry_auth_sys']);
SELECT tenancy.enable_rls('auth', 'security_events', ARRAY['tenantry_auth']);
-- Append only, for the service too; rows go with the tenant or by age.
REVOKE UPDATE ON auth.security_events FROM tenantry_auth;
REVOKE UPDATE ON auth.revocations FROM tenantry_auth;
REVOKE INSERT, UPDATE ON auth.revocations FROM tenantry_auth_sys;
SELECT tenancy.create_service_tables('auth', 'tenantry_auth', 'tenantry_auth_sys');
