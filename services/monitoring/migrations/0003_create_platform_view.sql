-- What operators see. Nothing of it is a tenant's to read.
CREATE TABLE monitoring.service_health (
    service    text        PRIMARY KEY,
    ready      boolean     NOT NULL,
    problem    text        NOT NULL,
    check_time timestamptz NOT NULL,
    since_time timestamptz NOT NULL
);
REVOKE ALL ON monitoring.service_health FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON monitoring.service_health TO tenantry_monitoring_sys;

-- One row for each time an alert fired. Bounded by the newest 10,000.
CREATE TABLE monitoring.alerts (
    fingerprint  text        NOT NULL,
    start_time   timestamptz NOT NULL,
    alert        text        NOT NULL,
    severity     text        NOT NULL,
    service      text        NOT NULL,
    summary      text        NOT NULL,
    runbook_uri  text        NOT NULL,
    end_time     timestamptz,
    receive_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (fingerprint, start_time)
);
CREATE INDEX alerts_listed ON monitoring.alerts ((end_time IS NULL) DESC, start_time DESC, fingerprint DESC);
REVOKE ALL ON monitoring.alerts FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON monitoring.alerts TO tenantry_monitoring_sys;

-- What services told. Bounded by age and number.
CREATE TABLE monitoring.events (
    event_id     uuid        NOT NULL,
    tenant_id    uuid,
    type         text        NOT NULL,
    source       text        NOT NULL,
    subject      text        NOT NULL,
    event_time   timestamptz NOT NULL,
    receive_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (event_id)
);
CREATE INDEX events_listed ON monitoring.events (event_time DESC, event_id DESC);
CREATE INDEX events_of_tenant ON monitoring.events (tenant_id, event_time DESC, event_id DESC);
SELECT tenancy.enable_rls('monitoring', 'events', '{}', ARRAY['tenantry_monitoring_sys']);
