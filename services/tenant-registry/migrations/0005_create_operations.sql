-- Long-running operations: the state of the sagas (decision 18). A row outlives its tenant, so that the outcome of a
-- purge or of a failed onboarding can still be read.
CREATE TABLE registry.operations (
    operation_id uuid        PRIMARY KEY,  -- time-ordered: newest first is the key, read backwards
    tenant_id    uuid        NOT NULL,
    slug         text        NOT NULL,
    verb         text        NOT NULL CHECK (verb IN ('create_tenant', 'suspend_tenant', 'resume_tenant', 'delete_tenant', 'undelete_tenant', 'purge_tenant')),
    phase        text        NOT NULL CHECK (phase IN ('forward', 'compensating', 'done')),
    step         text        NOT NULL DEFAULT '',
    -- Id of the command of the current step, the same for every resend.
    command_id   uuid        NOT NULL,
    attempt      integer     NOT NULL DEFAULT 0,
    last_error   text        NOT NULL DEFAULT '',
    -- What the steps need to know (first owner).
    input        jsonb       NOT NULL DEFAULT '{}',
    -- Why it is being compensated.
    failure      jsonb,
    -- The finished response, and the one-time invite, sealed under a key of the platform tenant.
    response     jsonb,
    invite       bytea,
    created_by   text        NOT NULL,
    traceparent  text,
    -- When the driver looks at it next.
    next_time    timestamptz NOT NULL DEFAULT pg_catalog.now(),
    create_time  timestamptz NOT NULL DEFAULT pg_catalog.now(),
    update_time  timestamptz NOT NULL DEFAULT pg_catalog.now()
);
CREATE INDEX operations_due ON registry.operations (next_time, operation_id) WHERE phase <> 'done';
-- A tenant goes through one operation at a time.
CREATE UNIQUE INDEX operations_running ON registry.operations (tenant_id) WHERE phase <> 'done';
SELECT tenancy.enable_rls('registry', 'operations', ARRAY[]::text[], ARRAY['tenantry_registry_sys']);
