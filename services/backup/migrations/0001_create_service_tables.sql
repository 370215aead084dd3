-- Outbox, inbox and idempotency keys.
SELECT tenancy.create_service_tables('backup', 'tenantry_backup', 'tenantry_backup_sys');
