-- What was issued: sessions, refresh tokens (a family is a session) and API keys. Secrets are stored as SHA-256 only:
-- they are 256 random bits.

CREATE TABLE auth.sessions (
    tenant_id      uuid        NOT NULL,
    id             uuid        NOT NULL,
    user_id        uuid        NOT NULL,
    kind           text        NOT NULL CHECK (kind IN ('browser', 'tokens')),
    -- NULL for sessions that live through refresh tokens.
    token_hash     bytea,
    user_agent     text        NOT NULL DEFAULT '' CHECK (pg_catalog.length(user_agent) <= 200),
    state          text        NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'revoked')),
    create_time    timestamptz NOT NULL,
    last_used_time timestamptz NOT NULL,
    expire_time    timestamptz NOT NULL,
    revoke_time    timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES auth.users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX sessions_user ON auth.sessions (tenant_id, user_id, id);
CREATE INDEX sessions_expiry ON auth.sessions (expire_time);

CREATE TABLE auth.refresh_tokens (
    tenant_id    uuid        NOT NULL,
    id           uuid        NOT NULL,
    session_id   uuid        NOT NULL,
    token_hash   bytea       NOT NULL,
    state        text        NOT NULL CHECK (state IN ('active', 'consumed', 'revoked')),
    successor_id uuid,
    create_time  timestamptz NOT NULL,
    consume_time timestamptz,
    expire_time  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, session_id) REFERENCES auth.sessions (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_session ON auth.refresh_tokens (tenant_id, session_id);
CREATE INDEX refresh_tokens_expiry ON auth.refresh_tokens (expire_time);

CREATE TABLE auth.api_keys (
    tenant_id      uuid        NOT NULL,
    id             uuid        NOT NULL,
    creator_id     uuid        NOT NULL,
    display_name   text        NOT NULL DEFAULT '' CHECK (pg_catalog.length(display_name) <= 120),
    scopes         text[]      NOT NULL CHECK (pg_catalog.cardinality(scopes) > 0),
    token_hash     bytea       NOT NULL,
    create_time    timestamptz NOT NULL,
    last_used_time timestamptz,
    expire_time    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, creator_id) REFERENCES auth.users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX api_keys_creator ON auth.api_keys (tenant_id, creator_id);
CREATE INDEX api_keys_expiry ON auth.api_keys (expire_time);

SELECT tenancy.enable_rls('auth', t, ARRAY['tenantry_auth'])
  FROM pg_catalog.unnest(ARRAY['sessions', 'refresh_tokens', 'api_keys']) AS t;
