package config

import (
	"slices"
	"strings"
	"testing"
)

func TestInPlaceOfPostgRESTItsDefaultsHold(t *testing.T) {
	t.Parallel()
	modules := map[string]string{"modules": "rest"}
	usual := load(t, Input{})
	if usual.Rest.AnonRole != "anon" || !slices.Equal(usual.Rest.ExtraSearchPath, []string{"public", "extensions"}) {
		t.Errorf("embedded: %q %q", usual.Rest.AnonRole, usual.Rest.ExtraSearchPath)
	}
	bare := load(t, Input{Environ: []string{"PGRST_DB_URI=" + testDB}, Flags: modules})
	if bare.Rest.AnonRole != "" || !slices.Equal(bare.Rest.ExtraSearchPath, []string{"public"}) {
		t.Errorf("a drop-in: %q %q", bare.Rest.AnonRole, bare.Rest.ExtraSearchPath)
	}
	set := load(t, Input{Flags: modules, Environ: []string{
		"PGRST_DB_URI=" + testDB, "PGRST_DB_ANON_ROLE=web", "PGRST_DB_EXTRA_SEARCH_PATH=", "PGRST_APP_SETTINGS_Host=a,b", "JWT_SECRET=" + testSecret,
	}})
	if set.Rest.AnonRole != "web" || set.Rest.ExtraSearchPath != nil || set.Rest.AppSettings["host"] != "a,b" || set.Rest.JWT.Secret.Reveal() != testSecret {
		t.Errorf("a drop-in with settings: %+v", set.Rest)
	}
}

func TestNothingIsAValueWhereItsTagSaysSo(t *testing.T) {
	t.Parallel()
	c := load(t, Input{EnvFile: write(t, "PGRST_DB_ANON_ROLE=file\n"), Environ: []string{"PGRST_DB_ANON_ROLE=", "PGRST_DB_SCHEMAS="}})
	if c.Rest.AnonRole != "" || !slices.Equal(c.Rest.Schemas, []string{"public"}) {
		t.Errorf("got %q, %q", c.Rest.AnonRole, c.Rest.Schemas)
	}
}

func TestPostgRESTsNameOfTheSecret(t *testing.T) {
	t.Parallel()
	c := load(t, Input{Environ: []string{"DATABASE_URL=" + testDB, "PGRST_JWT_SECRET=" + testSecret}})
	if c.Claims.Secret.Reveal() != testSecret {
		t.Error("PGRST_JWT_SECRET is not JWT_SECRET")
	}
	_, err := Load(Input{Environ: []string{"JWT_SECRET=" + testSecret, "PGRST_JWT_SECRET=other" + testSecret}})
	if err == nil || !strings.Contains(err.Error(), "JWT_SECRET and PGRST_JWT_SECRET are names of one setting") || strings.Contains(err.Error(), testSecret) {
		t.Errorf("got %v", err)
	}
	jwk := `{"kty":"oct","k":"` + strings.Repeat("c3Nz", 11) + `"}`
	c = load(t, Input{Environ: []string{"PGRST_DB_URI=" + testDB, "PGRST_JWT_SECRET=" + jwk}, Flags: map[string]string{"modules": "rest"}})
	if c.Claims.Secret != "" || c.Rest.JWT.Secret.Reveal() != jwk {
		t.Error("a key in place of PostgREST became the project's secret")
	}
}
