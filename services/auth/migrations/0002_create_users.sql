-- Members, their passwords, one-time links and the memory of failed sign-ins. The same e-mail at two tenants is two
-- users: there is no index over e-mails of several tenants.

CREATE TABLE auth.users (
    tenant_id    uuid        NOT NULL REFERENCES auth.realms (tenant_id),
    id           uuid        NOT NULL,
    email        text        COLLATE "C" NOT NULL CHECK (pg_catalog.length(email) BETWEEN 3 AND 254),
    display_name text        NOT NULL DEFAULT '' CHECK (pg_catalog.length(display_name) <= 120),
    role         text        NOT NULL CHECK (role IN ('viewer', 'member', 'admin', 'owner')),
    state        text        NOT NULL CHECK (state IN ('invited', 'active', 'disabled')),
    version      bigint      NOT NULL DEFAULT 1,
    tokens_after timestamptz,
    create_time  timestamptz NOT NULL,
    update_time  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT users_email UNIQUE (tenant_id, email)
);
CREATE INDEX users_owners ON auth.users (tenant_id, id) WHERE role = 'owner';

CREATE TABLE auth.credentials (
    tenant_id   uuid        NOT NULL,
    id          uuid        NOT NULL,
    user_id     uuid        NOT NULL,
    kind        text        NOT NULL CHECK (kind IN ('password')),
    -- PHC string of Argon2id.
    secret      text        NOT NULL,
    update_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, user_id, kind),
    FOREIGN KEY (tenant_id, user_id) REFERENCES auth.users (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE auth.one_time_links (
    tenant_id   uuid        NOT NULL,
    id          uuid        NOT NULL,
    user_id     uuid        NOT NULL,
    kind        text        NOT NULL CHECK (kind IN ('invite', 'reset')),
    token_hash  bytea       NOT NULL,
    create_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    use_time    timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES auth.users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX one_time_links_user ON auth.one_time_links (tenant_id, user_id);
CREATE INDEX one_time_links_expiry ON auth.one_time_links (expire_time);

-- `id` is a hash of the e-mail as it was typed, so that unknown addresses are throttled like known ones.
CREATE TABLE auth.login_throttle (
    tenant_id     uuid        NOT NULL,
    id            bytea       NOT NULL,
    failures      integer     NOT NULL,
    window_start  timestamptz NOT NULL,
    blocked_until timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX login_throttle_age ON auth.login_throttle (window_start);

SELECT tenancy.enable_rls('auth', t, ARRAY['tenantry_auth'])
  FROM pg_catalog.unnest(ARRAY['users', 'credentials', 'one_time_links', 'login_throttle']) AS t;
