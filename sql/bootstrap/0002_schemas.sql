CREATE SCHEMA IF NOT EXISTS extensions;
CREATE SCHEMA IF NOT EXISTS auth AUTHORIZATION supabase_auth_admin;
CREATE SCHEMA IF NOT EXISTS storage AUTHORIZATION supabase_storage_admin;

GRANT USAGE ON SCHEMA public, extensions, auth, storage TO anon, authenticated, service_role;
GRANT CREATE ON SCHEMA public TO service_role;
GRANT ALL ON SCHEMA auth, storage TO dashboard_user;

-- What the owner creates in public is open to the API roles; row level security narrows it.
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;

-- What Supabase's projects find in schema extensions, as far as the server has it.
DO $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY ARRAY['pgcrypto', 'uuid-ossp', 'pg_stat_statements'] LOOP
		BEGIN
			EXECUTE format('CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA extensions', name);
		EXCEPTION WHEN undefined_file OR feature_not_supported OR insufficient_privilege THEN
			RAISE NOTICE 'extension % is not available: %', name, SQLERRM;
		END;
	END LOOP;
END
$$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA extensions TO anon, authenticated, service_role;

DO $$
BEGIN
	EXECUTE format('ALTER DATABASE %I SET search_path TO "$user", public, extensions', current_database());
END
$$;
