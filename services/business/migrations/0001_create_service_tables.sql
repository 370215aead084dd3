-- Outbox, inbox and idempotency keys. Provisioning and type changes run as the owner in the transaction of their DDL,
-- and FORCE ROW LEVEL SECURITY binds the owner too: it gets policies by name.
SELECT tenancy.create_service_tables('business', 'tenantry_business', 'tenantry_business_sys');
CREATE POLICY ddl ON business.outbox TO tenantry_owner USING (true) WITH CHECK (true);
CREATE POLICY ddl ON business.inbox TO tenantry_owner USING (true) WITH CHECK (true);
CREATE POLICY ddl ON business.idempotency TO tenantry_owner USING (true) WITH CHECK (true);
