-- What the branding editor saves before it is published. The row stays when a draft is published, so that its version
-- only grows and an old etag never fits a new draft.
CREATE TABLE registry.branding_drafts (
    tenant_id     uuid        PRIMARY KEY REFERENCES registry.tenants (tenant_id) ON DELETE CASCADE,
    -- Whether there is a draft; otherwise the values are those of the last one.
    pending       boolean     NOT NULL,
    display_name  text        NOT NULL,
    primary_color text        NOT NULL CHECK (primary_color ~ '^#[0-9a-f]{6}$'),
    support_uri   text        NOT NULL,
    theme_mode    text        NOT NULL CHECK (theme_mode IN ('auto', 'light', 'dark')),
    version       bigint      NOT NULL DEFAULT 1,
    update_time   timestamptz NOT NULL DEFAULT pg_catalog.now()
);
SELECT tenancy.enable_rls('registry', 'branding_drafts', ARRAY['tenantry_registry'], ARRAY['tenantry_registry_sys']);

-- What was published. A revision is the version that the row in registry.branding had.
CREATE TABLE registry.branding_revisions (
    tenant_id     uuid        NOT NULL REFERENCES registry.tenants (tenant_id) ON DELETE CASCADE,
    revision      bigint      NOT NULL,
    display_name  text        NOT NULL,
    primary_color text        NOT NULL,
    support_uri   text        NOT NULL,
    theme_mode    text        NOT NULL,
    publisher     text        NOT NULL,
    publish_time  timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (tenant_id, revision)
);
-- What is published already becomes its first revision. FORCE binds the owner too, so it is off for a moment.
ALTER TABLE registry.branding NO FORCE ROW LEVEL SECURITY;
INSERT INTO registry.branding_revisions (tenant_id, revision, display_name, primary_color, support_uri, theme_mode, publisher, publish_time)
SELECT tenant_id, version, display_name, primary_color, support_uri, theme_mode, '', update_time FROM registry.branding;
ALTER TABLE registry.branding FORCE ROW LEVEL SECURITY;
SELECT tenancy.enable_rls('registry', 'branding_revisions', ARRAY['tenantry_registry'], ARRAY['tenantry_registry_sys']);
-- History is added to and, at its end, forgotten; nobody rewrites it.
REVOKE UPDATE ON registry.branding_revisions FROM tenantry_registry;
