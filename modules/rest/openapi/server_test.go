package openapi

import "testing"

func TestParseServer(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Server{
		"":                               {},
		"http://example.com":             {"http", "example.com", 80, "/"},
		"HTTPS://example.com/api":        {"https", "example.com", 443, "/api"},
		"https://[::1]:8443/a/b":         {"https", "::1", 8443, "/a/b"},
		"http://postgrest.com:3000/base": {"http", "postgrest.com", 3000, "/base"},
	} {
		if got, err := ParseServer(text); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"example.com", "ftp://example.com", "http://", "http://u:p@example.com", "http://example.com?x=1", "http://example.com:port"} {
		if got, err := ParseServer(text); err == nil {
			t.Errorf("%s: taken as %+v", text, got)
		}
	}
	if got := Addressed(" <script>", "/rest/v1"); got.hostPort() != "localhost:80" {
		t.Errorf("a host that is none: %+v", got)
	}
	if got := Addressed("[::1]:5", ""); got.hostPort() != "[::1]:5" || got.Path != "/" {
		t.Errorf("an IPv6 host: %+v", got)
	}
}

func TestStandard(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ typ, expression, want string }{
		{"text", "'default'::text", `"default"`},
		{"text", `'a "quote"'::text`, ""},
		{"boolean", "false", "false"},
		{"integer", "42", "42"},
		{"integer", "nextval('s'::regclass)", ""},
		{"date", "'1900-01-01'::date", `"1900-01-01"`},
		{"text", "", ""},
	} {
		got := ""
		if v, ok := standard(tt.typ, tt.expression).(interface{ MarshalJSON() ([]byte, error) }); ok {
			text, err := v.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			got = string(text)
		}
		if got != tt.want {
			t.Errorf("%s %s: got %s, want %s", tt.typ, tt.expression, got, tt.want)
		}
	}
}
