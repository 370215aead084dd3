-- Uploaded files, sealed in chunks under the tenant's file key.
CREATE TABLE business.imports (
    tenant_id    uuid        NOT NULL,
    id           uuid        NOT NULL,
    filename     text        NOT NULL,
    size_bytes   bigint      NOT NULL,
    row_count    bigint      NOT NULL,
    columns      jsonb       NOT NULL,
    state        text        NOT NULL CHECK (state IN ('uploading', 'uploaded', 'running', 'succeeded', 'failed')),
    operation_id uuid,
    creator      text        NOT NULL,
    create_time  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX imports_by_age ON business.imports (create_time) WHERE state <> 'running';
SELECT tenancy.enable_rls('business', 'imports', ARRAY['tenantry_business']);
CREATE POLICY ddl ON business.imports TO tenantry_owner USING (true) WITH CHECK (true);

CREATE TABLE business.import_chunks (
    tenant_id uuid    NOT NULL,
    import_id uuid    NOT NULL,
    seq       integer NOT NULL,
    sealed    bytea   NOT NULL,
    PRIMARY KEY (tenant_id, import_id, seq),
    FOREIGN KEY (tenant_id, import_id) REFERENCES business.imports (tenant_id, id) ON DELETE CASCADE
);
SELECT tenancy.enable_rls('business', 'import_chunks', ARRAY['tenantry_business']);
CREATE POLICY ddl ON business.import_chunks TO tenantry_owner USING (true) WITH CHECK (true);

-- The janitor removes uploads that nobody started within a day, failed ones after a day, finished ones after a month;
-- chunks that are left go with them.
GRANT SELECT (state, create_time), DELETE ON business.imports TO tenantry_business_sys;
CREATE POLICY expiry_read ON business.imports FOR SELECT TO tenantry_business_sys
    USING (state <> 'running' AND create_time < pg_catalog.now() - pg_catalog.make_interval(days => CASE state WHEN 'succeeded' THEN 30 ELSE 1 END));
CREATE POLICY expiry_delete ON business.imports FOR DELETE TO tenantry_business_sys
    USING (state <> 'running' AND create_time < pg_catalog.now() - pg_catalog.make_interval(days => CASE state WHEN 'succeeded' THEN 30 ELSE 1 END));
