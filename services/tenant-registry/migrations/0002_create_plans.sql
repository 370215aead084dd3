-- Plans belong to the platform: only the registry's own login reads and writes them.
CREATE TABLE registry.plans (
    plan_id             text COLLATE "C" PRIMARY KEY,
    display_name        text        NOT NULL,
    requests_per_second bigint      NOT NULL CHECK (requests_per_second BETWEEN 0 AND 4294967295),
    burst               bigint      NOT NULL CHECK (burst BETWEEN 0 AND 4294967295),
    users               bigint      NOT NULL CHECK (users BETWEEN 0 AND 4294967295),
    object_types        bigint      NOT NULL CHECK (object_types BETWEEN 0 AND 4294967295),
    records             bigint      NOT NULL CHECK (records >= 0),
    api_keys            bigint      NOT NULL CHECK (api_keys BETWEEN 0 AND 4294967295),
    features            text[]      NOT NULL DEFAULT '{}',
    version             bigint      NOT NULL DEFAULT 1,
    create_time         timestamptz NOT NULL DEFAULT pg_catalog.now(),
    update_time         timestamptz NOT NULL DEFAULT pg_catalog.now()
);
REVOKE ALL ON registry.plans FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE ON registry.plans TO tenantry_registry_sys;

-- Generous on purpose: a first script never meets a limit (decision 29).
INSERT INTO registry.plans (plan_id, display_name, requests_per_second, burst, users, object_types, records, api_keys, features) VALUES
    ('free',       'Free',       500,  1000,  10,    20,   100000,    5,    ARRAY['custom_types', 'import', 'watch']),
    ('team',       'Team',       1000, 2000,  200,   100,  5000000,   50,   ARRAY['custom_domain', 'custom_types', 'import', 'watch']),
    ('enterprise', 'Enterprise', 5000, 10000, 10000, 1000, 500000000, 1000, ARRAY['custom_domain', 'custom_types', 'import', 'watch']),
    -- The plan of the platform tenant, which has no records.
    ('platform',   'Platform',   5000, 10000, 10000, 0,    0,         1000, ARRAY['custom_domain']);
