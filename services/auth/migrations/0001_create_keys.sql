-- Realms and key material. A tenant's KEK is wrapped by the root key (a file, never here); everything secret of the
-- tenant is wrapped by its KEK: deleting the rows of auth.tenant_keys makes the rest unreadable.

CREATE TABLE auth.realms (
    tenant_id    uuid        PRIMARY KEY,
    slug         text        NOT NULL,
    -- Transaction tokens of the tenant are issued later than this (see app/revoke.rs).
    tokens_after timestamptz,
    create_time  timestamptz NOT NULL DEFAULT pg_catalog.now()
);

CREATE TABLE auth.tenant_keys (
    tenant_id   uuid        NOT NULL REFERENCES auth.realms (tenant_id),
    id          uuid        NOT NULL,
    version     integer     NOT NULL CHECK (version > 0),
    wrapped     bytea       NOT NULL,
    create_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, version)
);

CREATE TABLE auth.data_keys (
    tenant_id   uuid        NOT NULL REFERENCES auth.realms (tenant_id),
    id          uuid        NOT NULL,
    purpose     text        NOT NULL CHECK (pg_catalog.length(purpose) BETWEEN 1 AND 40),
    version     integer     NOT NULL CHECK (version > 0),
    wrapped     bytea       NOT NULL,
    create_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, purpose, version)
);

-- ES256 keys of access tokens; `kid` is the RFC 7638 thumbprint.
CREATE TABLE auth.signing_keys (
    tenant_id   uuid        NOT NULL REFERENCES auth.realms (tenant_id),
    id          uuid        NOT NULL,
    kid         text        NOT NULL,
    sealed      bytea       NOT NULL,
    jwk         jsonb       NOT NULL,
    state       text        NOT NULL CHECK (state IN ('next', 'active', 'retired')),
    create_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    retire_time timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, kid)
);
CREATE UNIQUE INDEX signing_keys_one_active ON auth.signing_keys (tenant_id) WHERE state = 'active';

-- The key under which every transaction token is signed.
CREATE TABLE auth.platform_keys (
    id          uuid        PRIMARY KEY,
    kid         text        NOT NULL UNIQUE,
    wrapped     bytea       NOT NULL,
    jwk         jsonb       NOT NULL,
    state       text        NOT NULL CHECK (state IN ('next', 'active', 'retired')),
    create_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    change_time timestamptz NOT NULL DEFAULT pg_catalog.now()
);
CREATE UNIQUE INDEX platform_keys_one_active ON auth.platform_keys ((true)) WHERE state = 'active';

-- HMAC keys of database contexts; their verification halves are installed in every database (tenancy.context_keys).
CREATE TABLE auth.context_keys (
    kid         integer     PRIMARY KEY CHECK (kid > 0),
    wrapped     bytea       NOT NULL,
    state       text        NOT NULL CHECK (state IN ('active', 'retired')),
    create_time timestamptz NOT NULL DEFAULT pg_catalog.now()
);
CREATE UNIQUE INDEX context_keys_one_active ON auth.context_keys ((true)) WHERE state = 'active';

SELECT tenancy.enable_rls('auth', t, ARRAY['tenantry_auth'])
  FROM pg_catalog.unnest(ARRAY['realms', 'tenant_keys', 'data_keys', 'signing_keys']) AS t;
SELECT tenancy.enable_rls('auth', t, '{}', ARRAY['tenantry_auth_sys'])
  FROM pg_catalog.unnest(ARRAY['platform_keys', 'context_keys']) AS t;
