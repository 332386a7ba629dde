-- Schema auth as Supabase's projects have it: the same names and types, so that
-- their dumps restore, and triggers, foreign keys and queries of apps work.
-- A restored dump may have brought any of it already: everything here is
-- created only where it is missing. Columns that Supabase added over the years
-- stand where its own migrations left them.
DO $types$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT * FROM (VALUES
		('aal_level',                  ARRAY['aal1', 'aal2', 'aal3']),
		('code_challenge_method',      ARRAY['s256', 'plain']),
		('factor_status',              ARRAY['unverified', 'verified']),
		('factor_type',                ARRAY['totp', 'webauthn', 'phone']),
		('oauth_authorization_status', ARRAY['pending', 'approved', 'denied', 'expired']),
		('oauth_client_type',          ARRAY['public', 'confidential']),
		('oauth_registration_type',    ARRAY['dynamic', 'manual']),
		('oauth_response_type',        ARRAY['code']),
		('one_time_token_type',        ARRAY['confirmation_token', 'reauthentication_token', 'recovery_token',
			'email_change_token_new', 'email_change_token_current', 'phone_change_token'])
	) AS wanted (name, labels)
	LOOP
		IF to_regtype(format('auth.%I', r.name)) IS NULL THEN
			EXECUTE format('CREATE TYPE auth.%I AS ENUM (%s)', r.name,
				(SELECT string_agg(quote_literal(l), ', ' ORDER BY n) FROM unnest(r.labels) WITH ORDINALITY AS u (l, n)));
		END IF;
		EXECUTE format('ALTER TYPE auth.%I OWNER TO supabase_auth_admin', r.name);
	END LOOP;
END
$types$;
