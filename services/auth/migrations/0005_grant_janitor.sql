-- The janitor's login sees what is long over, and nothing else of a tenant.
DO $$
DECLARE
    item record;
    rule text;
BEGIN
    FOR item IN SELECT * FROM (VALUES
        ('sessions',        'expire_time < pg_catalog.now() - interval ''7 days'''),
        ('refresh_tokens',  'expire_time < pg_catalog.now() - interval ''1 day'''),
        ('one_time_links',  'expire_time < pg_catalog.now() - interval ''1 day'''),
        ('api_keys',        'expire_time < pg_catalog.now() - interval ''30 days'''),
        ('login_throttle',  'window_start < pg_catalog.now() - interval ''2 days'''),
        ('security_events', 'create_time < pg_catalog.now() - interval ''400 days''')) AS t(name, rule)
    LOOP
        EXECUTE pg_catalog.format('GRANT SELECT, DELETE ON auth.%I TO tenantry_auth_sys', item.name);
        EXECUTE pg_catalog.format('CREATE POLICY janitor_sees ON auth.%I FOR SELECT TO tenantry_auth_sys USING (%s)', item.name, item.rule);
        EXECUTE pg_catalog.format('CREATE POLICY janitor_deletes ON auth.%I FOR DELETE TO tenantry_auth_sys USING (%s)', item.name, item.rule);
    END LOOP;
END $$;
