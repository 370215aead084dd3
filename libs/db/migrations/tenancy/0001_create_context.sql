-- The signed tenant context (data plane, section 2; decisions 12 and 32). Run as tenantry_owner, before every other
-- migration of the database. Everything is schema-qualified; pg_temp stands last in every fixed search_path, because
-- where it is not named it is searched first and a temporary domain `uuid` would be found before the real one.

-- What the owner makes from now on is not executable by everybody.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- HMAC keys as their two padded blocks, so that the built-in sha256() is enough. Only the owner reads this table.
CREATE TABLE tenancy.context_keys (
    kid          integer     PRIMARY KEY CHECK (kid > 0),
    inner_pad    bytea       NOT NULL CHECK (pg_catalog.octet_length(inner_pad) = 64),
    outer_pad    bytea       NOT NULL CHECK (pg_catalog.octet_length(outer_pad) = 64),
    state        text        NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'retired')),
    install_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
    retire_time  timestamptz
);
REVOKE ALL ON tenancy.context_keys FROM PUBLIC;

-- The tenant of this transaction, or NULL without a context (and NULL matches no row). A context that is malformed,
-- of an unknown or retired key, edited, for another login or expired is an error, never NULL.
-- session_user: inside SECURITY DEFINER current_user is the owner. now(): a transaction that began in time may finish.
CREATE FUNCTION tenancy.current_tenant() RETURNS pg_catalog.uuid
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $fn$
DECLARE
    token  pg_catalog.text := nullif(pg_catalog.current_setting('tenancy.ctx', true), '');
    part   pg_catalog.text[];
    signed pg_catalog.text;
    key    record;
BEGIN
    IF token IS NULL THEN
        RETURN NULL;
    END IF;
    part := pg_catalog.string_to_array(token, '.');
    IF pg_catalog.cardinality(part) <> 6 OR part[1] <> 'v1' OR part[2] !~ '^[1-9][0-9]{0,8}$' OR pg_catalog.length(part[6]) <> 64 THEN
        RAISE EXCEPTION 'tenancy.ctx is malformed' USING ERRCODE = '28000';
    END IF;
    SELECT k.inner_pad, k.outer_pad INTO key FROM tenancy.context_keys k
     WHERE k.kid = part[2]::pg_catalog.int4 AND k.state = 'active';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'tenancy.ctx is signed with an unknown key' USING ERRCODE = '28000';
    END IF;
    signed := pg_catalog.left(token, -65);
    IF pg_catalog.encode(pg_catalog.sha256(key.outer_pad || pg_catalog.sha256(key.inner_pad || pg_catalog.convert_to(signed, 'UTF8'))), 'hex')
       <> part[6] THEN
        RAISE EXCEPTION 'tenancy.ctx has a wrong signature' USING ERRCODE = '28000';
    END IF;
    -- From here on the text is auth's own.
    IF part[4] <> session_user::pg_catalog.text THEN
        RAISE EXCEPTION 'tenancy.ctx is for another role' USING ERRCODE = '28000';
    END IF;
    IF part[5]::pg_catalog.int8 <= pg_catalog.date_part('epoch', pg_catalog.now()) THEN
        RAISE EXCEPTION 'tenancy.ctx has expired' USING ERRCODE = '28000';
    END IF;
    RETURN part[3]::pg_catalog.uuid;
END
$fn$;
REVOKE ALL ON FUNCTION tenancy.current_tenant() FROM PUBLIC;

-- Installing the same key again is fine; another key under a known kid is not, and a retired kid stays retired.
CREATE FUNCTION tenancy.install_context_key(kid pg_catalog.int4, key pg_catalog.bytea) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $fn$
DECLARE
    block  pg_catalog.bytea := key;
    pad_i  pg_catalog.bytea;
    pad_o  pg_catalog.bytea;
    known  record;
BEGIN
    IF pg_catalog.octet_length(key) < 32 THEN
        RAISE EXCEPTION 'a context key has at least 32 bytes' USING ERRCODE = '22023';
    END IF;
    IF pg_catalog.octet_length(block) > 64 THEN
        block := pg_catalog.sha256(block);
    END IF;
    block := block || pg_catalog.decode(pg_catalog.repeat('00', 64 - pg_catalog.octet_length(block)), 'hex');
    pad_i := block;
    pad_o := block;
    FOR i IN 0..63 LOOP
        pad_i := pg_catalog.set_byte(pad_i, i, pg_catalog.get_byte(block, i) # 54);  -- 0x36
        pad_o := pg_catalog.set_byte(pad_o, i, pg_catalog.get_byte(block, i) # 92);  -- 0x5c
    END LOOP;
    INSERT INTO tenancy.context_keys AS k (kid, inner_pad, outer_pad) VALUES (install_context_key.kid, pad_i, pad_o)
    ON CONFLICT ON CONSTRAINT context_keys_pkey DO NOTHING;
    IF FOUND THEN
        RETURN;
    END IF;
    SELECT k.inner_pad, k.state INTO known FROM tenancy.context_keys k WHERE k.kid = install_context_key.kid;
    IF known.inner_pad <> pad_i OR known.state <> 'active' THEN
        RAISE EXCEPTION 'context key % is another key or retired', kid USING ERRCODE = '55000';
    END IF;
END
$fn$;
REVOKE ALL ON FUNCTION tenancy.install_context_key(pg_catalog.int4, pg_catalog.bytea) FROM PUBLIC;

CREATE FUNCTION tenancy.retire_context_key(kid pg_catalog.int4) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $fn$
    UPDATE tenancy.context_keys k SET state = 'retired', retire_time = pg_catalog.now()
     WHERE k.kid = retire_context_key.kid AND k.state = 'active';
$fn$;
REVOKE ALL ON FUNCTION tenancy.retire_context_key(pg_catalog.int4) FROM PUBLIC;

GRANT USAGE ON SCHEMA tenancy TO tenantry_auth_sys;
GRANT EXECUTE ON FUNCTION tenancy.install_context_key(pg_catalog.int4, pg_catalog.bytea) TO tenantry_auth_sys;
GRANT EXECUTE ON FUNCTION tenancy.retire_context_key(pg_catalog.int4) TO tenantry_auth_sys;
