package jsonpath_test

import (
	"encoding/json"
	"testing"

	"github.com/madbase/madbase/modules/rest/jsonpath"
)

const claims = `{"role":"admin","a-b":{"roles":["one","two-x","three"]},"n":5,"o":{"k":"v"},"it's":1}`

func TestFirst(t *testing.T) {
	t.Parallel()
	var v any
	if err := json.Unmarshal([]byte(claims), &v); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]any{
		"$.role": "admin", ".role": "admin", "$['role']": "admin", `$["a-b"].roles[0]`: "one", `."a-b".roles[1]`: "two-x",
		"$['a-b'].roles[-1]": "three", "$['a-b'].roles[3]": nil, "$.o.*": "v", "$['a-b'].roles[*]": "one",
		"$['a-b'].roles[?(@ == 'three')]": "three", `$["a-b"].roles[?@ != "one"]`: "two-x",
		`."a-b".roles[?(@ ^== "tw")]`: "two-x", `."a-b".roles[?(@ ==^ "ee")]`: "three", `."a-b".roles[?(@ *== "o-")]`: "two-x",
		"$['a-b'].roles[?search(@, '-x$')]": "two-x", "$['a-b'].roles[?match(@, 't.*e')]": "three",
		"$.n": 5.0, "$.missing": nil, "$.role.deeper": nil, `$['it\'s']`: 1.0,
	} {
		p, err := jsonpath.Parse(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if got, _ := p.First(v); got != want {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "$", "role", "$.", "$[", "$[x]", "$['a", "$.a[?(@ = 'x')]", "$.a[?(@ == 'x']", "$.a[?search(@,'(')]", "$..a"} {
		if _, err := jsonpath.Parse(path); err == nil {
			t.Errorf("%q was taken", path)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`$["a"].b[?(@ == 'x')][-1].*`)
	f.Fuzz(func(_ *testing.T, text string) {
		if p, err := jsonpath.Parse(text); err == nil {
			p.First(map[string]any{"a": []any{"x", nil, map[string]any{"b": 1.0}}})
		}
	})
}
