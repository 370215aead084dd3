-- The change log behind WatchRecords. Readers take only rows of transactions below the oldest one still running
-- (xid < snapshot xmin), so no change can appear behind a reader's back; within such a window seq is the order in
-- which one record changed, because seq is drawn while the record's row is locked.
CREATE TABLE business.changes (
    tenant_id   uuid        NOT NULL,
    seq         bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    xid         bigint      NOT NULL DEFAULT (pg_catalog.pg_current_xact_id()::pg_catalog.text)::bigint,
    type        text        NOT NULL COLLATE pg_catalog."C",
    record_id   uuid        NOT NULL,
    kind        text        NOT NULL CHECK (kind IN ('created', 'updated', 'deleted')),
    record      jsonb,
    change_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (tenant_id, seq)
);
CREATE INDEX changes_by_xid ON business.changes (tenant_id, xid, seq);
CREATE INDEX changes_by_age ON business.changes (change_time);
SELECT tenancy.enable_rls('business', 'changes', ARRAY['tenantry_business']);
REVOKE UPDATE, DELETE ON business.changes FROM tenantry_business;
CREATE POLICY ddl ON business.changes TO tenantry_owner USING (true) WITH CHECK (true);
-- The janitor removes what is older than the retention, and can read nothing but the age.
GRANT SELECT (ctid, change_time), DELETE ON business.changes TO tenantry_business_sys;
CREATE POLICY retention_read ON business.changes FOR SELECT TO tenantry_business_sys
    USING (change_time < pg_catalog.now() - pg_catalog.make_interval(days => 7));
CREATE POLICY retention_delete ON business.changes FOR DELETE TO tenantry_business_sys
    USING (change_time < pg_catalog.now() - pg_catalog.make_interval(days => 7));
