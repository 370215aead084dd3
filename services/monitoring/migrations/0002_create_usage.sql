-- Which reports were added up. Pruned after 32 days; reports older than 31 days are refused, so none can come twice.
CREATE TABLE monitoring.reports (
    instance     uuid        NOT NULL,
    sequence     bigint      NOT NULL,
    receive_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (instance, sequence)
);
CREATE INDEX reports_by_age ON monitoring.reports (receive_time);
REVOKE ALL ON monitoring.reports FROM PUBLIC;
GRANT SELECT, INSERT, DELETE ON monitoring.reports TO tenantry_monitoring_sys;

-- A report adds to the minute, the hour and the month in one transaction: they agree by construction, and a roll-up that
-- could be run twice or forgotten does not exist. `latency` holds counts by bucket; its bounds are libs/metering's.
CREATE TABLE monitoring.tenant_minute (
    tenant_id      uuid        NOT NULL,
    start_time     timestamptz NOT NULL,
    service        text        NOT NULL CHECK (service IN ('gateway', 'business')),
    requests       bigint      NOT NULL,
    admitted       bigint      NOT NULL,
    errors         bigint      NOT NULL,
    limited        bigint      NOT NULL,
    row_count      bigint      NOT NULL,
    request_bytes  bigint      NOT NULL,
    response_bytes bigint      NOT NULL,
    latency        bigint[]    NOT NULL,
    PRIMARY KEY (tenant_id, start_time, service)
);
CREATE INDEX tenant_minute_by_time ON monitoring.tenant_minute (start_time);
CREATE TABLE monitoring.tenant_hour (LIKE monitoring.tenant_minute INCLUDING CONSTRAINTS);
ALTER TABLE monitoring.tenant_hour ADD PRIMARY KEY (tenant_id, start_time, service);
CREATE INDEX tenant_hour_by_time ON monitoring.tenant_hour (start_time);

-- What quotas are compared with.
CREATE TABLE monitoring.tenant_month (
    tenant_id   uuid        NOT NULL,
    month       date        NOT NULL,
    requests    bigint      NOT NULL,
    admitted    bigint      NOT NULL,
    update_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (tenant_id, month)
);
CREATE INDEX tenant_month_by_update ON monitoring.tenant_month (month, update_time);

-- Tenants read their own rows by signed context; only the consumer of reports writes.
SELECT tenancy.enable_rls('monitoring', t, ARRAY['tenantry_monitoring'], ARRAY['tenantry_monitoring_sys'])
  FROM pg_catalog.unnest(ARRAY['tenant_minute', 'tenant_hour', 'tenant_month']) AS t;
REVOKE INSERT, UPDATE, DELETE ON monitoring.tenant_minute, monitoring.tenant_hour, monitoring.tenant_month FROM tenantry_monitoring;
