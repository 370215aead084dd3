-- Outbox, inbox and idempotency keys of the registry, readable by its two logins.
SELECT tenancy.create_service_tables('registry', 'tenantry_registry', 'tenantry_registry_sys');

-- The clock of routes. Its row lock makes route changes commit in the order of their epochs, so that whoever reads
-- "everything after epoch N" never misses a change that commits late. Changes are rare and short.
CREATE TABLE registry.route_clock (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch    bigint  NOT NULL
);
INSERT INTO registry.route_clock (epoch) VALUES (1);
REVOKE ALL ON registry.route_clock FROM PUBLIC;

-- The one way to move the clock: neither login can set it back.
CREATE FUNCTION registry.next_epoch() RETURNS pg_catalog.int8
    LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $fn$
    UPDATE registry.route_clock SET epoch = epoch + 1 RETURNING epoch
$fn$;
REVOKE ALL ON FUNCTION registry.next_epoch() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION registry.next_epoch() TO tenantry_registry, tenantry_registry_sys;
