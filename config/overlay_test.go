package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestAProjectOverridesTheProcess(t *testing.T) {
	t.Parallel()
	base := load(t, Input{Environ: []string{
		"GOTRUE_SMTP_HOST=mail.example.com", "GOTRUE_SMTP_PASS=hush", "GOTRUE_SITE_URL=https://a.example.com",
		"PGRST_APP_SETTINGS_ONE=1", "PGRST_DB_SCHEMAS=public,api",
	}})
	before := base.Redacted()
	over, err := base.Overlay(map[string]string{
		"GOTRUE_SMTP_HOST": "", "GOTRUE_SITE_URL": "https://b.example.com", "PGRST_APP_SETTINGS_TWO": "2",
		"PGRST_DB_SCHEMA": "other", "GOTRUE_EXTERNAL_GITHUB_ENABLED": "true", "GOTRUE_EXTERNAL_GITHUB_CLIENT_ID": "id",
		"UPLOAD_FILE_SIZE_LIMIT": "1000", "GOTRUE_SESSIONS_TIMEBOX": "24h", "GOTRUE_MAILER_SUBJECTS_RECOVERY": "Hello",
	})
	if err != nil {
		t.Fatal(err)
	}
	if over.Auth.Mail.Host != "" || over.Auth.Mail.Password != "hush" || over.Auth.SiteURL != "https://b.example.com" {
		t.Errorf("mail: got %+v", over.Auth.Mail)
	}
	if got := over.Rest.AppSettings; got["one"] != "1" || got["two"] != "2" || len(got) != 2 {
		t.Errorf("app settings: got %v", got)
	}
	if len(over.Rest.Schemas) != 1 || over.Rest.Schemas[0] != "other" || !over.Auth.External.GitHub.Enabled {
		t.Errorf("got %v, GitHub %t", over.Rest.Schemas, over.Auth.External.GitHub.Enabled)
	}
	if over.Storage.FileSizeLimit != 1000 || over.Auth.SessionsTimebox != 24*time.Hour || over.Auth.Mail.Subjects["recovery"] != "Hello" {
		t.Errorf("got %d %s %v", over.Storage.FileSizeLimit, over.Auth.SessionsTimebox, over.Auth.Mail.Subjects)
	}
	if base.Redacted() != before || base.Rest.AppSettings["two"] != "" {
		t.Error("the process's settings have changed")
	}
}

func TestOverlayNamesEveryFault(t *testing.T) {
	t.Parallel()
	_, err := load(t, Input{}).Overlay(map[string]string{
		"DATABASE_URL":                            "postgresql://stolen",
		"REDIS_URL":                               "redis://elsewhere",
		"IMGPROXY_WORKERS":                        "99",
		"PGRST_APP_SETTINGS_*":                    "a=b",
		"GOTRUE_SITE_URLL":                        "https://x.example.com",
		"GOTRUE_JWT_EXP":                          "-1",
		"GOTRUE_SMTP_PORT":                        "",
		"PGRST_DB_MAX_ROWS":                       "many",
		"PGRST_MAX_ROWS":                          "3",
		"GOTRUE_EXTERNAL_GOOGLE_ENABLED":          "true",
		"GOTRUE_MAILER_SUBJECTS_NO_SUCH_KIND":     "Hi",
		"GOTRUE_HOOK_SEND_EMAIL_SECRETS":          "v1,whsec_sesame",
		"GOTRUE_SMTP_PASS":                        "sesame",
		"GOTRUE_SECURITY_MANUAL_LINKING_ENABLED":  "true",
		"GOTRUE_EXPERIMENTAL_SCIM_ENABLED":        "true",
		"GOTRUE_RATE_LIMIT_HEADER":                "X-Me",
		"GOTRUE_SECURITY_SB_FORWARDED_FOR_ENABLE": "true",
	})
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		"DATABASE_URL is a setting of the process", "REDIS_URL is a setting of the process", "IMGPROXY_WORKERS is a setting of the process",
		`"PGRST_APP_SETTINGS_*" is not a setting`, "did you mean GOTRUE_SITE_URL?", "GOTRUE_JWT_EXP must be more than 0",
		"GOTRUE_SMTP_PORT: must not be empty", `PGRST_DB_MAX_ROWS: "many"`, "are names of one setting", "GOTRUE_EXTERNAL_GOOGLE_CLIENT_ID",
		"NO_SUCH_KIND", "GOTRUE_EXPERIMENTAL_SCIM_ENABLED is a setting of the process", "GOTRUE_RATE_LIMIT_HEADER is a setting of the process",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not named in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "sesame") {
		t.Errorf("a secret is quoted:\n%v", err)
	}
}

// What a process stands on, and what it shares out among its projects, is no project's to set.
func TestProjectsSetNothingOfTheProcess(t *testing.T) {
	t.Parallel()
	sections := map[string]bool{}
	for _, s := range ProjectSettings() {
		sections[s.Section] = true
		found, err := ProjectSetting(strings.Replace(s.Name, "*", "X", 1))
		if err != nil || found.Secret != s.Secret {
			t.Errorf("%s: %v", s.Name, err)
		}
	}
	if len(sections) != 3 || !sections["Auth"] || !sections["Rest"] || !sections["Storage"] {
		t.Errorf("got %v", sections)
	}
	for _, name := range []string{"JWT_SECRET", "PGRST_JWT_SECRET", "LISTEN_ADDR", "S3_BUCKET", "ADMIN_PASSWORD", "MADBASE_DB_POOL", "IMAGE_TRANSFORMATION_VIPSTHUMBNAIL"} {
		if _, err := ProjectSetting(name); err == nil {
			t.Errorf("a project can set %s", name)
		}
	}
}

func TestValuesOfProjectsShowNoSecret(t *testing.T) {
	t.Parallel()
	c, err := load(t, Input{}).Overlay(map[string]string{
		"GOTRUE_SMTP_PASS": "sesame", "PGRST_APP_SETTINGS_KEY": "sesame", "GOTRUE_SITE_URL": "https://x.example.com",
	})
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	for _, v := range c.ProjectValues() {
		shown[v.Name] = v.Text
	}
	if got := fmt.Sprint(shown); strings.Contains(got, "sesame") {
		t.Error(got)
	}
	for name, want := range map[string]string{
		"GOTRUE_SMTP_PASS": "[redacted]", "PGRST_APP_SETTINGS_KEY": "[redacted]", "GOTRUE_SITE_URL": "https://x.example.com",
		"GOTRUE_SAML_PRIVATE_KEY": "", "GOTRUE_JWT_EXP": "3600", "PGRST_DB_EXTRA_SEARCH_PATH": "public,extensions",
	} {
		if got, found := shown[name]; got != want || !found {
			t.Errorf("%s: got %q", name, got)
		}
	}
}
