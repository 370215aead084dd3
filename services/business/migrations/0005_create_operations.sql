-- Long-running operations: the state of a job lives here, never only in a process.
CREATE TABLE business.operations (
    tenant_id        uuid        NOT NULL,
    id               uuid        NOT NULL,
    verb             text        NOT NULL,
    target           text        NOT NULL,
    state            text        NOT NULL CHECK (state IN ('running', 'succeeded', 'failed', 'cancelled')),
    step             text        NOT NULL,
    attempt          integer     NOT NULL DEFAULT 0,
    last_error       text        NOT NULL DEFAULT '',
    done_units       bigint      NOT NULL DEFAULT 0,
    total_units      bigint      NOT NULL DEFAULT 0,
    cancel_requested boolean     NOT NULL DEFAULT false,
    input            jsonb       NOT NULL,
    result           jsonb,
    creator          text        NOT NULL,
    lease_owner      uuid,
    next_time        timestamptz NOT NULL DEFAULT pg_catalog.now(),
    create_time      timestamptz NOT NULL DEFAULT pg_catalog.now(),
    update_time      timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX operations_due ON business.operations (next_time) WHERE state = 'running';
SELECT tenancy.enable_rls('business', 'operations', ARRAY['tenantry_business']);
CREATE POLICY ddl ON business.operations TO tenantry_owner USING (true) WITH CHECK (true);
-- The worker's claim crosses tenants: it sees that something is due and leases it, nothing of what it is about.
GRANT SELECT (tenant_id, id, state, next_time, attempt), UPDATE (lease_owner, next_time, attempt) ON business.operations TO tenantry_business_sys;
CREATE POLICY claim_read ON business.operations FOR SELECT TO tenantry_business_sys USING (state = 'running');
CREATE POLICY claim_write ON business.operations FOR UPDATE TO tenantry_business_sys
    USING (state = 'running') WITH CHECK (state = 'running');
