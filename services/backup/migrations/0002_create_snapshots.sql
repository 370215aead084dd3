-- Snapshots: a hint for people and jobs. What a snapshot is, is said by its signed manifest in the archive.
CREATE TABLE backup.snapshots (
    tenant_id     uuid        NOT NULL,
    id            uuid        NOT NULL,
    description   text        NOT NULL DEFAULT '',
    kind          text        NOT NULL CHECK (kind IN ('on_demand', 'scheduled', 'before_restore')),
    state         text        NOT NULL CHECK (state IN ('running', 'ready', 'failed', 'corrupt', 'deleting')),
    snapshot_time timestamptz,
    create_time   timestamptz NOT NULL,
    expire_time   timestamptz,
    verify_time   timestamptz,
    problem       text        NOT NULL DEFAULT '',
    types         jsonb       NOT NULL DEFAULT '[]',
    records       bigint      NOT NULL DEFAULT 0,
    size_bytes    bigint      NOT NULL DEFAULT 0,
    stored_bytes  bigint      NOT NULL DEFAULT 0,
    operation_id  uuid        NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX snapshots_by_expiry ON backup.snapshots (expire_time) WHERE expire_time IS NOT NULL;
CREATE INDEX snapshots_deleting ON backup.snapshots (tenant_id, id) WHERE state = 'deleting';
SELECT tenancy.enable_rls('backup', 'snapshots', ARRAY['tenantry_backup']);
-- A row goes only after its objects, and by the job that removes those.
REVOKE DELETE ON backup.snapshots FROM tenantry_backup;

-- When snapshots are taken by themselves and how long they are kept; one row a tenant.
CREATE TABLE backup.policies (
    tenant_id   uuid        PRIMARY KEY,
    schedule    text        NOT NULL,
    keep_days   integer     NOT NULL CHECK (keep_days BETWEEN 1 AND 400),
    keep_last   integer     NOT NULL CHECK (keep_last BETWEEN 1 AND 100),
    next_time   timestamptz,
    version     bigint      NOT NULL DEFAULT 1,
    gone_time   timestamptz,
    update_time timestamptz NOT NULL DEFAULT pg_catalog.now()
);
CREATE INDEX policies_due ON backup.policies (next_time) WHERE next_time IS NOT NULL;
SELECT tenancy.enable_rls('backup', 'policies', ARRAY['tenantry_backup']);
REVOKE DELETE ON backup.policies FROM tenantry_backup;

-- Long-running operations: the state of a job lives here, never only in a process.
CREATE TABLE backup.operations (
    tenant_id        uuid        NOT NULL,
    id               uuid        NOT NULL,
    verb             text        NOT NULL CHECK (verb IN ('create_snapshot', 'verify_snapshot', 'restore_snapshot')),
    snapshot_id      uuid        NOT NULL,
    state            text        NOT NULL CHECK (state IN ('running', 'succeeded', 'failed', 'cancelled')),
    step             text        NOT NULL,
    attempt          integer     NOT NULL DEFAULT 0,
    last_error       text        NOT NULL DEFAULT '',
    done_units       bigint      NOT NULL DEFAULT 0,
    total_units      bigint      NOT NULL DEFAULT 0,
    cancel_requested boolean     NOT NULL DEFAULT false,
    input            jsonb       NOT NULL,
    checkpoint       jsonb       NOT NULL DEFAULT '{}',
    result           jsonb,
    creator          text        NOT NULL,
    lease_owner      uuid,
    next_time        timestamptz NOT NULL DEFAULT pg_catalog.now(),
    create_time      timestamptz NOT NULL DEFAULT pg_catalog.now(),
    update_time      timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX operations_due ON backup.operations (next_time) WHERE state = 'running';
CREATE INDEX operations_of_snapshot ON backup.operations (tenant_id, snapshot_id) WHERE state = 'running';
SELECT tenancy.enable_rls('backup', 'operations', ARRAY['tenantry_backup']);
REVOKE DELETE ON backup.operations FROM tenantry_backup;
