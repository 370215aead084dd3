-- Outbox, inbox and idempotency keys.
SELECT tenancy.create_service_tables('monitoring', 'tenantry_monitoring', 'tenantry_monitoring_sys');
