-- Which tenants have a schema here. A dropped tenant leaves its id behind, so that a late provisioning command
-- cannot bring its schema back. Only provisioning (the owner) reads or writes it.
CREATE TABLE business.tenants (
    tenant_id   uuid        PRIMARY KEY,
    state       text        NOT NULL CHECK (state IN ('active', 'dropped')),
    create_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    drop_time   timestamptz
);
SELECT tenancy.enable_rls('business', 'tenants', '{}');
CREATE POLICY ddl ON business.tenants TO tenantry_owner USING (true) WITH CHECK (true);
