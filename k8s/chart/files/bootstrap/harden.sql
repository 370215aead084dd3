-- Per database: built-in functions that PUBLIC may call and that reach across tenants of one login role.
-- The owner keeps advisory locks: migrations serialise on them (tenantry_ddl acts as the owner after SET ROLE).
SET client_min_messages = warning;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
DO $$
DECLARE f regprocedure;
BEGIN
  FOR f IN
    SELECT p.oid::regprocedure FROM pg_catalog.pg_proc p
     WHERE p.pronamespace = 'pg_catalog'::regnamespace
       AND (p.proname IN ('pg_terminate_backend', 'pg_cancel_backend', 'pg_stat_get_activity', 'loread', 'lowrite')
            OR p.proname ~ '^lo_'                         -- large objects know no row security
            OR p.proname ~ '^pg_(try_)?advisory_'         -- one tenant could hold another's lock
            OR p.proname ~ '^pg_stat_get_backend_')       -- other sessions of the same role show their statements
  LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    IF f::text ~ 'advisory_' THEN
      EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO tenantry_owner, tenantry_ddl', f);
    END IF;
  END LOOP;
END $$;
