-- One row (rule, object, detail) for each broken rule. $1 = LIKE patterns of schema names. Catalogs only.
WITH tables AS (
    SELECT c.oid, c.relname, n.nspname, c.relowner, c.relacl, c.relrowsecurity, c.relforcerowsecurity,
           pg_catalog.format('%s.%s', n.nspname, c.relname) AS name,
           EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped) AS has_tenant
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND n.nspname LIKE ANY ($1)
), services AS (
    SELECT r.* FROM pg_catalog.pg_roles r WHERE r.rolname LIKE 'tenantry\_%' AND r.rolname NOT IN ('tenantry_owner', 'tenantry_ddl')
), policies AS (
    SELECT t.name, p.polname, coalesce(pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)) AS reads,
           coalesce(pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid), pg_catalog.pg_get_expr(p.polqual, p.polrelid)) AS writes,
           EXISTS (SELECT FROM pg_catalog.unnest(p.polroles) u LEFT JOIN pg_catalog.pg_roles r ON r.oid = u
                    WHERE r.rolname IS NULL OR (r.rolname NOT LIKE 'tenantry\_%\_sys' AND r.rolname <> 'tenantry_owner')) AS for_requests
      FROM tables t JOIN pg_catalog.pg_policy p ON p.polrelid = t.oid
     WHERE t.has_tenant AND p.polpermissive
)
SELECT 'rls_disabled' AS rule, t.name::text AS object, 'row security is off; call tenancy.enable_rls' AS detail
  FROM tables t WHERE t.has_tenant AND NOT t.relrowsecurity
UNION ALL
SELECT 'rls_not_forced', t.name, 'row security is not forced on the owner; call tenancy.enable_rls'
  FROM tables t WHERE t.has_tenant AND NOT t.relforcerowsecurity
UNION ALL
SELECT 'policy_open', p.name, pg_catalog.format('policy %s does not compare with tenancy.current_tenant()', p.polname)
  FROM policies p WHERE p.for_requests AND NOT (coalesce(p.reads, '') ~ 'tenancy\.current_tenant\(\)' AND coalesce(p.writes, '') ~ 'tenancy\.current_tenant\(\)')
UNION ALL
SELECT 'foreign_owner', t.name, pg_catalog.format('owned by %s, not tenantry_owner', pg_catalog.pg_get_userbyid(t.relowner))
  FROM tables t WHERE pg_catalog.pg_get_userbyid(t.relowner) <> 'tenantry_owner'
UNION ALL
SELECT 'wide_grant', t.name, pg_catalog.format('%s granted to %s', a.privilege_type, coalesce(r.rolname::text, 'PUBLIC'))
  FROM tables t CROSS JOIN LATERAL pg_catalog.aclexplode(t.relacl) a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
 WHERE a.grantee <> t.relowner AND (a.privilege_type IN ('TRUNCATE', 'REFERENCES', 'TRIGGER') OR (t.has_tenant AND a.grantee = 0))
UNION ALL
SELECT 'strong_role', s.rolname, 'a service role is NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION'
  FROM services s WHERE s.rolsuper OR s.rolbypassrls OR s.rolcreaterole OR s.rolcreatedb OR s.rolreplication
UNION ALL
SELECT 'member_role', s.rolname, pg_catalog.format('member of %s; a service role is a member of nothing', pg_catalog.pg_get_userbyid(m.roleid))
  FROM services s JOIN pg_catalog.pg_auth_members m ON m.member = s.oid
UNION ALL
SELECT 'owning_role', s.rolname, pg_catalog.format('owns %s; a service role owns nothing', c.oid::pg_catalog.regclass)
  FROM services s JOIN pg_catalog.pg_class c ON c.relowner = s.oid
UNION ALL
SELECT DISTINCT 'view_as_owner', v.oid::pg_catalog.regclass::text, 'a view over tenant rows needs security_invoker; a materialized view is not allowed'
  FROM tables t JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = t.oid
       AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
  JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid JOIN pg_catalog.pg_class v ON v.oid = w.ev_class AND v.oid <> t.oid
 WHERE t.has_tenant AND (v.relkind = 'm' OR NOT coalesce(v.reloptions, '{}') && ARRAY['security_invoker=true', 'security_invoker=on', 'security_invoker=1'])
UNION ALL
SELECT 'definer_search_path', p.oid::pg_catalog.regprocedure::text, 'SECURITY DEFINER needs SET search_path = pg_catalog, pg_temp'
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
 WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND NOT EXISTS (SELECT FROM pg_catalog.unnest(p.proconfig) s WHERE s ~ '^search_path=.*pg_temp"?$')
UNION ALL
SELECT 'public_temporary', pg_catalog.current_database()::text, 'PUBLIC may create temporary objects; REVOKE TEMPORARY ON DATABASE .. FROM PUBLIC'
 WHERE pg_catalog.has_database_privilege('public', pg_catalog.current_database(), 'TEMPORARY')
UNION ALL
SELECT 'role_temporary', s.rolname, 'may create temporary objects'
  FROM services s WHERE pg_catalog.has_database_privilege(s.oid, pg_catalog.current_database(), 'TEMPORARY')
UNION ALL
SELECT 'role_creates', pg_catalog.format('%s in %s', s.rolname, n.nspname), 'a service role creates nothing'
  FROM services s CROSS JOIN pg_catalog.pg_namespace n
 WHERE (n.nspname LIKE ANY ($1) OR n.nspname IN ('public', 'tenancy')) AND pg_catalog.has_schema_privilege(s.oid, n.oid, 'CREATE')
UNION ALL
SELECT 'dangerous_function', p.oid::pg_catalog.regprocedure::text, 'executable by PUBLIC; run deploy/dev/harden.sql on this database'
  FROM pg_catalog.pg_proc p
 WHERE p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND pg_catalog.has_function_privilege('public', p.oid, 'EXECUTE')
   AND p.proname IN ('pg_terminate_backend', 'pg_cancel_backend', 'pg_stat_get_activity', 'pg_advisory_lock', 'lo_create', 'lo_get')
UNION ALL
SELECT 'parameters_logged', s.name, 'must be 0: a bound parameter may be a signed context'
  FROM pg_catalog.unnest(ARRAY['log_parameter_max_length', 'log_parameter_max_length_on_error']) AS s (name)
 WHERE pg_catalog.current_setting(s.name) <> '0'
UNION ALL
SELECT 'old_server', v.have::text, 'floors are 15.19, 16.15, 17.11, 18.6; upgrade the server'
  FROM (SELECT pg_catalog.current_setting('server_version_num')::int AS have) v
 WHERE v.have < CASE v.have / 10000 WHEN 15 THEN 150019 WHEN 16 THEN 160015 WHEN 17 THEN 170011 WHEN 18 THEN 180006 ELSE 150019 END
ORDER BY 1, 2, 3
