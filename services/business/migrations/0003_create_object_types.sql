-- Definitions of object types; written by the owner in the transaction of the DDL, read by the service.
CREATE TABLE business.object_types (
    tenant_id   uuid        NOT NULL,
    type        text        NOT NULL COLLATE pg_catalog."C",
    id          uuid        NOT NULL,
    definition  jsonb       NOT NULL,
    version     bigint      NOT NULL,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, type)
);
SELECT tenancy.enable_rls('business', 'object_types', ARRAY['tenantry_business']);
REVOKE INSERT, UPDATE, DELETE ON business.object_types FROM tenantry_business;
CREATE POLICY ddl ON business.object_types TO tenantry_owner USING (true) WITH CHECK (true);

-- How many records a type has, in slots, so that concurrent writers of one tenant seldom wait for one row.
CREATE TABLE business.usage (
    tenant_id uuid     NOT NULL,
    type      text     NOT NULL COLLATE pg_catalog."C",
    slot      smallint NOT NULL,
    records   bigint   NOT NULL,
    PRIMARY KEY (tenant_id, type, slot)
);
SELECT tenancy.enable_rls('business', 'usage', ARRAY['tenantry_business']);
CREATE POLICY ddl ON business.usage TO tenantry_owner USING (true) WITH CHECK (true);
