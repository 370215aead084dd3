-- What only a superuser can do: roles, databases, and what every PostgreSQL grants to PUBLIC and a service must not have.
-- Idempotent. Tables, functions and policies are not made here: each service migrates its own schemas as tenantry_ddl.
-- The caller prepends \set pw_<role> '<hex>' for every login role: passwords never stand in an argument list.
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
SET password_encryption = 'scram-sha-256';

-- CREATEROLE and CREATEDB, the most that a managed server gives, are not enough: what harden.sql takes from PUBLIC belongs to the
-- superuser, nobody else's REVOKE has an effect, and the services refuse to serve from a database where it was not taken. Better to
-- stop here, before anything is made, than after half of it.
DO $$
BEGIN
  IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
    RAISE EXCEPTION 'bootstrap.sql needs a superuser, and % is none: nothing was changed', current_user
      USING DETAIL = 'It revokes functions of pg_catalog and CONNECT on postgres and template1 from PUBLIC; a server without a superuser cannot do that.',
            HINT = 'Run it as the superuser of a server of your own or of an operator in the cluster: docs/kubernetes.md, "PostgreSQL".';
  END IF;
END $$;

-- Roles. The owner cannot log in; tenantry_ddl reaches it by SET ROLE; a service role owns nothing and is a member of nothing.
SELECT format('CREATE ROLE %I', r) FROM unnest(ARRAY['tenantry_owner', 'tenantry_ddl',
    'tenantry_registry', 'tenantry_registry_sys', 'tenantry_auth', 'tenantry_auth_sys',
    'tenantry_business', 'tenantry_business_sys',
    'tenantry_backup', 'tenantry_backup_sys', 'tenantry_monitoring', 'tenantry_monitoring_sys']) AS r
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = r) \gexec
ALTER ROLE tenantry_owner NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION;
ALTER ROLE tenantry_ddl LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'pw_tenantry_ddl';
ALTER ROLE tenantry_registry LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'pw_tenantry_registry';
ALTER ROLE tenantry_registry_sys LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'pw_tenantry_registry_sys';
ALTER ROLE tenantry_auth LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'pw_tenantry_auth';
ALTER ROLE tenantry_auth_sys LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'pw_tenantry_auth_sys';
ALTER ROLE tenantry_business LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'pw_tenantry_business';
ALTER ROLE tenantry_business_sys LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'pw_tenantry_business_sys';
ALTER ROLE tenantry_backup LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'pw_tenantry_backup';
ALTER ROLE tenantry_backup_sys LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'pw_tenantry_backup_sys';
ALTER ROLE tenantry_monitoring LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'pw_tenantry_monitoring';
ALTER ROLE tenantry_monitoring_sys LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'pw_tenantry_monitoring_sys';
GRANT tenantry_owner TO tenantry_ddl;

-- Settings by role, so that they hold behind a pooler too. An empty search_path makes an unqualified name an error
-- instead of a hijack; a stuck transaction cannot hold locks or an old snapshot for long.
SELECT format('ALTER ROLE %I SET %s', r, s)
  FROM unnest(ARRAY['tenantry_registry', 'tenantry_registry_sys', 'tenantry_auth', 'tenantry_auth_sys',
                    'tenantry_business', 'tenantry_business_sys',
    'tenantry_backup', 'tenantry_backup_sys', 'tenantry_monitoring', 'tenantry_monitoring_sys']) AS r,
       unnest(ARRAY['search_path = pg_catalog, pg_temp', 'statement_timeout = ''30s''', 'lock_timeout = ''10s''',
                    'idle_in_transaction_session_timeout = ''30s''', 'default_transaction_isolation = ''read committed''']) AS s \gexec
ALTER ROLE tenantry_ddl SET statement_timeout = 0;
ALTER ROLE tenantry_ddl SET idle_in_transaction_session_timeout = '5min';

-- Databases. CONNECT and TEMPORARY are PUBLIC by default: a temporary object can carry one tenant's code into another's session.
SELECT format('CREATE DATABASE %I OWNER tenantry_owner TEMPLATE template0 ENCODING ''UTF8''', d)
  FROM unnest(ARRAY['tenantry', 'tenantry_data']) AS d
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = d) \gexec
REVOKE ALL ON DATABASE tenantry, tenantry_data, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE tenantry TO tenantry_ddl, tenantry_registry, tenantry_registry_sys, tenantry_auth, tenantry_auth_sys,
    tenantry_backup, tenantry_backup_sys, tenantry_monitoring, tenantry_monitoring_sys;
-- Auth installs and retires verification keys in the data database through one definer function; it has no table there.
GRANT CONNECT ON DATABASE tenantry_data TO tenantry_ddl, tenantry_business, tenantry_business_sys, tenantry_auth, tenantry_auth_sys;

-- A bound parameter may be a signed context: it must not reach a log. The services refuse to serve where it could.
SELECT format('ALTER DATABASE %I SET %s = 0', d, s)
  FROM unnest(ARRAY['tenantry', 'tenantry_data']) AS d, unnest(ARRAY['log_parameter_max_length', 'log_parameter_max_length_on_error']) AS s \gexec

\connect tenantry
\ir harden.sql
\connect tenantry_data
\ir harden.sql
