-- One row a tenant, from the request to onboard it until its purge has finished; then the row goes and the slug is free.
CREATE TABLE registry.tenants (
    tenant_id      uuid        PRIMARY KEY,
    slug           text COLLATE "C" NOT NULL,
    display_name   text        NOT NULL,
    plan_id        text COLLATE "C" NOT NULL REFERENCES registry.plans (plan_id),
    state          text        NOT NULL CHECK (state IN ('creating', 'active', 'suspended', 'deleted', 'purging')),
    suspend_reason text        NOT NULL DEFAULT '',
    placement      text        NOT NULL CHECK (placement IN ('schema', 'pooled', 'database')),
    cell           text        NOT NULL,
    epoch          bigint      NOT NULL,
    version        bigint      NOT NULL DEFAULT 1,
    create_time    timestamptz NOT NULL DEFAULT pg_catalog.now(),
    update_time    timestamptz NOT NULL DEFAULT pg_catalog.now(),
    delete_time    timestamptz,
    purge_time     timestamptz,
    -- A slug names one host: it is global, not per tenant. Only operators can try values against it.
    CONSTRAINT tenants_slug_key UNIQUE (slug)
);
-- The list operators see: no tenant that is gone, not the platform itself.
CREATE INDEX tenants_listed ON registry.tenants (slug)
    WHERE state IN ('creating', 'active', 'suspended') AND tenant_id <> '00000000-0000-7000-8000-000000000001';
CREATE INDEX tenants_changed ON registry.tenants (epoch, tenant_id);
CREATE INDEX tenants_plan ON registry.tenants (plan_id);
CREATE INDEX tenants_purge ON registry.tenants (purge_time) WHERE state = 'deleted';

SELECT tenancy.enable_rls('registry', 'tenants', ARRAY['tenantry_registry'], ARRAY['tenantry_registry_sys']);
-- The tenant-bound login may only say "my route changed".
REVOKE ALL ON registry.tenants FROM tenantry_registry;
GRANT SELECT (tenant_id, epoch), UPDATE (epoch) ON registry.tenants TO tenantry_registry;

-- Routes that are gone, so that every replica and watcher forgets them.
CREATE TABLE registry.removed_routes (
    tenant_id   uuid        PRIMARY KEY,
    slug        text        NOT NULL,
    epoch       bigint      NOT NULL,
    remove_time timestamptz NOT NULL DEFAULT pg_catalog.now()
);
CREATE INDEX removed_routes_changed ON registry.removed_routes (epoch, tenant_id);
CREATE INDEX removed_routes_age ON registry.removed_routes (remove_time);
SELECT tenancy.enable_rls('registry', 'removed_routes', ARRAY[]::text[], ARRAY['tenantry_registry_sys']);

-- The tenant in which operators live (kernel TenantId::PLATFORM). It is no customer and is never listed.
-- FORCE binds the owner too: the seed goes in as the rows of a table whose policies are off for a moment.
ALTER TABLE registry.tenants NO FORCE ROW LEVEL SECURITY;
INSERT INTO registry.tenants (tenant_id, slug, display_name, plan_id, state, placement, cell, epoch)
VALUES ('00000000-0000-7000-8000-000000000001', 'operator', 'Operators', 'platform', 'active', 'schema', 'default', 1);
ALTER TABLE registry.tenants FORCE ROW LEVEL SECURITY;
