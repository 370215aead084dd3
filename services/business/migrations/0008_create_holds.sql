-- Tenants whose data is about to be replaced: from before the copy that is kept of it until the swap it is read, not
-- changed, or what was acknowledged in between would be lost. As long as a row is here the service's login has no right
-- to write the tenant's tables. A hold that nobody renews ends by itself.
CREATE TABLE business.holds (
    tenant_id   uuid        PRIMARY KEY,
    restore_id  uuid        NOT NULL,
    expire_time timestamptz NOT NULL,
    create_time timestamptz NOT NULL DEFAULT pg_catalog.now()
);
SELECT tenancy.enable_rls('business', 'holds', ARRAY['tenantry_business']);
REVOKE INSERT, UPDATE, DELETE ON business.holds FROM tenantry_business;
CREATE POLICY ddl ON business.holds TO tenantry_owner USING (true) WITH CHECK (true);
