-- The roles of a Supabase project. Roles belong to the cluster, not to the
-- database: each may exist already.
DO $roles$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT * FROM (VALUES
		('anon',                        'NOLOGIN NOINHERIT'),
		('authenticated',               'NOLOGIN NOINHERIT'),
		('service_role',                'NOLOGIN NOINHERIT BYPASSRLS'),
		('authenticator',               'LOGIN NOINHERIT'),
		('supabase_auth_admin',         'LOGIN NOINHERIT'),
		('supabase_storage_admin',      'LOGIN NOINHERIT'),
		-- Owners and grantees that dumps of real projects name.
		('supabase_admin',              'NOLOGIN'),
		('supabase_realtime_admin',     'NOLOGIN NOINHERIT'),
		('supabase_replication_admin',  'NOLOGIN'),
		('supabase_functions_admin',    'NOLOGIN NOINHERIT'),
		('supabase_read_only_user',     'NOLOGIN'),
		('dashboard_user',              'NOLOGIN'),
		('pgbouncer',                   'NOLOGIN')
	) AS wanted (name, options)
	LOOP
		IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r.name) THEN
			BEGIN
				EXECUTE format('CREATE ROLE %I %s', r.name, r.options);
			EXCEPTION WHEN duplicate_object OR unique_violation THEN
				NULL; -- another database of the cluster was being prepared at the same time
			END;
		END IF;
	END LOOP;
END
$roles$;

GRANT anon, authenticated, service_role TO authenticator;

-- Objects of the schemas below are handed to these owners; one who is no superuser must be a member for that.
DO $$
BEGIN
	IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
		EXECUTE format('GRANT supabase_auth_admin, supabase_storage_admin, anon, authenticated, service_role TO %I', current_user);
	END IF;
END
$$;

-- No request may hold a connection for long.
ALTER ROLE authenticator SET statement_timeout = '8s';
ALTER ROLE authenticator SET lock_timeout = '8s';
ALTER ROLE authenticator SET idle_in_transaction_session_timeout = '30s';
ALTER ROLE supabase_auth_admin SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE supabase_auth_admin SET search_path = auth;
ALTER ROLE supabase_storage_admin SET search_path = storage;
