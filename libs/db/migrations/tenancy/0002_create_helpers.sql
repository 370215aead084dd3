-- What every later migration and the provisioning job call instead of writing policies by hand. They run with the
-- caller's rights and only the owner may call them.

-- Row security on one table: the service roles see the context's tenant, the system roles named here see every row
-- (relay, janitor), everybody else sees nothing. Repeatable.
CREATE FUNCTION tenancy.enable_rls(schema_name text, table_name text, service_roles text[], sys_roles text[] DEFAULT '{}') RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $fn$
DECLARE
    relation pg_catalog.text := pg_catalog.format('%I.%I', schema_name, table_name);
    policy   record;
    role     pg_catalog.text;
BEGIN
    EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
    EXECUTE pg_catalog.format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', relation);
    EXECUTE pg_catalog.format('REVOKE ALL ON TABLE %s FROM PUBLIC', relation);
    FOR policy IN SELECT p.polname FROM pg_catalog.pg_policy p WHERE p.polrelid = relation::pg_catalog.regclass LOOP
        EXECUTE pg_catalog.format('DROP POLICY %I ON %s', policy.polname, relation);
    END LOOP;
    FOREACH role IN ARRAY service_roles || sys_roles LOOP
        EXECUTE pg_catalog.format('GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %s TO %I', relation, role);
    END LOOP;
    FOREACH role IN ARRAY service_roles LOOP
        -- Only where it is missing: every grant rewrites the function's one catalog row, and two at once fail.
        IF NOT pg_catalog.has_function_privilege(role, 'tenancy.current_tenant()', 'EXECUTE') THEN
            EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION tenancy.current_tenant() TO %I', role);
        END IF;
    END LOOP;
    IF pg_catalog.cardinality(service_roles) > 0 THEN
        -- The scalar sub-select is evaluated once a statement, not once a row.
        EXECUTE pg_catalog.format(
            'CREATE POLICY tenant_isolation ON %s TO %s USING (tenant_id = (SELECT tenancy.current_tenant())) WITH CHECK (tenant_id = (SELECT tenancy.current_tenant()))',
            relation, (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(r), ', ') FROM pg_catalog.unnest(service_roles) r));
    END IF;
    IF pg_catalog.cardinality(sys_roles) > 0 THEN
        EXECUTE pg_catalog.format('CREATE POLICY system_access ON %s TO %s USING (true) WITH CHECK (true)',
            relation, (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(r), ', ') FROM pg_catalog.unnest(sys_roles) r));
    END IF;
END
$fn$;

-- Outbox, inbox and idempotency keys of one service in one database, with their grants. The tenant leads every unique
-- key, so that one tenant cannot ask whether another's message or key exists.
CREATE FUNCTION tenancy.create_service_tables(schema_name text, service_role text, sys_role text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $fn$
DECLARE
    name pg_catalog.text;
BEGIN
    EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA %I TO %I, %I', schema_name, service_role, sys_role);
    -- next_time is both the schedule and the lease of a relay.
    EXECUTE pg_catalog.format($sql$
        CREATE TABLE %1$I.outbox (
            id           uuid        NOT NULL,
            tenant_id    uuid,
            exchange     text        NOT NULL,
            routing_key  text        NOT NULL,
            type         text        NOT NULL,
            subject      text        NOT NULL DEFAULT '',
            content_type text        NOT NULL,
            payload      bytea       NOT NULL,
            headers      jsonb       NOT NULL DEFAULT '{}',
            traceparent  text,
            create_time  timestamptz NOT NULL DEFAULT pg_catalog.now(),
            attempts     integer     NOT NULL DEFAULT 0,
            next_time    timestamptz NOT NULL DEFAULT pg_catalog.now(),
            CONSTRAINT outbox_once UNIQUE NULLS NOT DISTINCT (tenant_id, id)
        )$sql$, schema_name);
    EXECUTE pg_catalog.format('CREATE INDEX outbox_due ON %I.outbox (next_time, id)', schema_name);
    EXECUTE pg_catalog.format('CREATE INDEX outbox_id ON %I.outbox (id)', schema_name);
    EXECUTE pg_catalog.format($sql$
        CREATE TABLE %1$I.inbox (
            tenant_id    uuid,
            consumer     text        NOT NULL,
            message_id   uuid        NOT NULL,
            reply        bytea       NOT NULL,
            create_time  timestamptz NOT NULL DEFAULT pg_catalog.now(),
            CONSTRAINT inbox_once UNIQUE NULLS NOT DISTINCT (tenant_id, consumer, message_id)
        )$sql$, schema_name);
    EXECUTE pg_catalog.format('CREATE INDEX inbox_age ON %I.inbox (create_time)', schema_name);
    EXECUTE pg_catalog.format($sql$
        CREATE TABLE %1$I.idempotency (
            tenant_id    uuid        NOT NULL,
            principal    text        NOT NULL,
            method       text        NOT NULL,
            key          text        NOT NULL,
            fingerprint  bytea       NOT NULL,
            response     bytea,
            create_time  timestamptz NOT NULL DEFAULT pg_catalog.now(),
            PRIMARY KEY (tenant_id, principal, method, key)
        )$sql$, schema_name);
    EXECUTE pg_catalog.format('CREATE INDEX idempotency_age ON %I.idempotency (create_time)', schema_name);
    FOREACH name IN ARRAY ARRAY['outbox', 'inbox', 'idempotency'] LOOP
        PERFORM tenancy.enable_rls(schema_name, name, ARRAY[service_role], ARRAY[sys_role]);
    END LOOP;
END
$fn$;

REVOKE ALL ON FUNCTION tenancy.enable_rls(text, text, text[], text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION tenancy.create_service_tables(text, text, text) FROM PUBLIC;
