-- Custom domains. Two tenants may claim one, only one can have it verified.
CREATE TABLE registry.domains (
    tenant_id          uuid        NOT NULL REFERENCES registry.tenants (tenant_id) ON DELETE CASCADE,
    domain             text COLLATE "C" NOT NULL,
    state              text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'verified')),
    verification_token text        NOT NULL,
    create_time        timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (tenant_id, domain)
);
-- Global by intent: a verified host leads to one tenant. Only operators verify, so no tenant can probe it.
CREATE UNIQUE INDEX domains_verified_key ON registry.domains (domain) WHERE state = 'verified';
SELECT tenancy.enable_rls('registry', 'domains', ARRAY['tenantry_registry'], ARRAY['tenantry_registry_sys']);
-- A tenant claims and gives up; verifying is the operator's.
REVOKE UPDATE ON registry.domains FROM tenantry_registry;

CREATE TABLE registry.branding (
    tenant_id     uuid        PRIMARY KEY REFERENCES registry.tenants (tenant_id) ON DELETE CASCADE,
    display_name  text        NOT NULL DEFAULT '',
    primary_color text        NOT NULL CHECK (primary_color ~ '^#[0-9a-f]{6}$'),
    support_uri   text        NOT NULL DEFAULT '',
    version       bigint      NOT NULL DEFAULT 1,
    update_time   timestamptz NOT NULL DEFAULT pg_catalog.now()
);
SELECT tenancy.enable_rls('registry', 'branding', ARRAY['tenantry_registry'], ARRAY['tenantry_registry_sys']);
