-- Who owns schema auth and who may see it, as in Supabase's projects: its own
-- role; postgres and dashboard_user for people; none of the API roles.
DO $owner$
DECLARE
	t record;
	people text;
BEGIN
	SELECT string_agg(quote_ident(rolname), ', ') INTO people FROM pg_roles WHERE rolname IN ('postgres', 'dashboard_user');
	FOR t IN
		SELECT c.relname, c.relkind FROM pg_class c
		WHERE c.relnamespace = 'auth'::regnamespace AND c.relkind = 'r'
		ORDER BY c.relname
	LOOP
		EXECUTE format('ALTER TABLE auth.%I OWNER TO supabase_auth_admin', t.relname);
		IF t.relname !~ '^(oauth_|webauthn_|custom_oauth_)' THEN
			EXECUTE format('ALTER TABLE auth.%I ENABLE ROW LEVEL SECURITY', t.relname);
		END IF;
		IF people IS NOT NULL AND t.relname <> 'schema_migrations' THEN
			EXECUTE format('GRANT ALL ON TABLE auth.%I TO %s', t.relname, people);
		END IF;
		IF people ~ 'postgres' AND t.relname !~ '^(oauth_|webauthn_|custom_oauth_)' THEN
			EXECUTE format('GRANT SELECT ON TABLE auth.%I TO postgres WITH GRANT OPTION', t.relname);
		END IF;
	END LOOP;
	IF people IS NOT NULL THEN
		EXECUTE format('GRANT USAGE ON SCHEMA auth TO %s', people);
		EXECUTE format('GRANT ALL ON ALL SEQUENCES IN SCHEMA auth TO %s', people);
		EXECUTE format('GRANT ALL ON FUNCTION auth.uid(), auth.role(), auth.email(), auth.jwt() TO %s', people);
	END IF;
END
$owner$;
ALTER SCHEMA auth OWNER TO supabase_auth_admin;
