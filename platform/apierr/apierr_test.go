package apierr_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/madbase/madbase/platform/apierr"
)

func TestAPIErrorJSONFormat(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  *apierr.Error
		want string
	}{
		{apierr.New(400, "bad", "x"), `{"error":"x","code":400}`},
		{apierr.New(404, "missing", "no such project").WithDetail("ref abc"), `{"error":"no such project","code":404,"detail":"ref abc"}`},
	} {
		status, body := apierr.Platform(nil, test.err, nil)
		got, err := json.Marshal(body)
		if err != nil || string(got) != test.want || status != test.err.Status {
			t.Errorf("got %d %s %v, want %s", status, got, err, test.want)
		}
	}
}

func TestAPIErrorHidesDBDetail(t *testing.T) {
	t.Parallel()
	cause := errors.New(`ERROR: relation "auth.users" (SQLSTATE 42P01) postgres://owner:pw@db/postgres`)
	e := apierr.From(cause)
	_, body := apierr.Platform(nil, e, nil)
	got, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"auth.users", "42P01", "postgres://", "pw"} {
		if strings.Contains(string(got), secret) {
			t.Errorf("%s shows %q", got, secret)
		}
	}
	if e.Status != 500 || !errors.Is(e, cause) {
		t.Errorf("status %d, cause kept: %v", e.Status, errors.Is(e, cause))
	}
}
