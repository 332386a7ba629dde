package auth_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/madbase/madbase/platform/testkit"
	"github.com/madbase/madbase/sql"
)

func TestSchemaIsSupabases(t *testing.T) {
	t.Parallel()
	f := testkit.NewProject(t, "auth")
	text := func(query string) (out string) {
		t.Helper()
		if err := f.Owner.QueryRow(t.Context(), query).Scan(&out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	const tables = `FROM pg_class c WHERE c.relnamespace = 'auth'::regnamespace AND c.relkind = 'r'`
	names := text(`SELECT string_agg(c.relname, ' ' ORDER BY c.relname) ` + tables)
	equal(t, "tables", names, "audit_log_entries custom_oauth_providers flow_state identities instances mfa_amr_claims mfa_challenges mfa_factors "+
		"oauth_authorizations oauth_client_states oauth_clients oauth_consents one_time_tokens refresh_tokens saml_providers saml_relay_states "+
		"schema_migrations sessions sso_domains sso_providers users webauthn_challenges webauthn_credentials")
	equal(t, "owners", text(`SELECT string_agg(DISTINCT pg_get_userbyid(c.relowner), ' ') `+tables), "supabase_auth_admin")
	equal(t, "row level security", text(`SELECT string_agg(c.relname, ' ' ORDER BY c.relname) `+tables+` AND NOT c.relrowsecurity`),
		"custom_oauth_providers oauth_authorizations oauth_client_states oauth_clients oauth_consents webauthn_challenges webauthn_credentials")
	equal(t, "open to API roles", text(`SELECT coalesce(string_agg(c.relname, ' '), '') FROM pg_class c, unnest(ARRAY['anon', 'authenticated', 'service_role']) AS r
		WHERE c.relnamespace = 'auth'::regnamespace AND c.relkind = 'r' AND has_table_privilege(r, c.oid, 'SELECT, INSERT, UPDATE, DELETE')`), "")
	equal(t, "versions", text(`SELECT count(*) || ' ' || max(version) FROM auth.schema_migrations`), "70 20260625000000")
	equal(t, "columns of users", text(`SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute
		WHERE attrelid = 'auth.users'::regclass AND attnum > 0`), strings.Join(strings.Fields(`instance_id id aud role email encrypted_password
		email_confirmed_at invited_at confirmation_token confirmation_sent_at recovery_token recovery_sent_at email_change_token_new email_change
		email_change_sent_at last_sign_in_at raw_app_meta_data raw_user_meta_data is_super_admin created_at updated_at phone phone_confirmed_at
		phone_change phone_change_token phone_change_sent_at confirmed_at email_change_token_current email_change_confirm_status banned_until
		reauthentication_token reauthentication_sent_at is_sso_user deleted_at is_anonymous`), " "))
}

// TestSchemaOverARestoredDump: a dump brought the tables before the migrations ran.
func TestSchemaOverARestoredDump(t *testing.T) {
	t.Parallel()
	f := testkit.NewProject(t, "auth")
	f.Exec(t, `INSERT INTO auth.users (id, email) VALUES (gen_random_uuid(), 'a@example.com')`)
	files, err := fs.Glob(sql.Line("auth"), "*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		text, err := fs.ReadFile(sql.Line("auth"), name)
		if err != nil {
			t.Fatal(err)
		}
		f.Exec(t, string(text))
	}
}
