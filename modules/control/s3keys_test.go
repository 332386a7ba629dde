package control_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/control"
)

// s3Keys keeps keys in memory.
type s3Keys struct{ keys []control.S3Key }

func (k *s3Keys) Create(_ context.Context, _, description string, claims map[string]any) (control.S3Key, error) {
	if len(k.keys) == 1 {
		return control.S3Key{}, control.ErrTooManyS3Keys
	}
	key := control.S3Key{
		ID: "7a0b5e8e-0000-4000-8000-000000000001", Description: description, AccessKey: "ak", SecretKey: "sk",
		CreatedAt: time.UnixMilli(0),
	}
	if claims != nil {
		key.AccessKey = fmt.Sprint(claims["role"])
	}
	k.keys = append(k.keys, key)
	return key, nil
}

func (k *s3Keys) List(context.Context, string) ([]control.S3Key, error) { return k.keys, nil }

func (k *s3Keys) Revoke(_ context.Context, _, id string) error {
	if len(k.keys) > 0 && k.keys[0].ID == id {
		k.keys = nil
	}
	return nil
}

func TestS3Credentials(t *testing.T) {
	t.Parallel()
	p := openRegistered(t)
	const path, id = "/projects/default/s3/credentials", "7a0b5e8e-0000-4000-8000-000000000001"
	made := `{"id":"` + id + `","access_key":"authenticated","secret_key":"sk","description":"for backups"}`
	listed := `[{"id":"` + id + `","description":"for backups","access_key":"authenticated","created_at":"1970-01-01T00:00:00.000Z"}]`
	for _, test := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", path, "", 200, "[]"},
		{"POST", path, `{"description":"ab"}`, 400, "description must have"},
		{"POST", path, `{"description":"for backups","claims":{"sub":"x"}}`, 400, "claims must have a role"},
		{"POST", path, `{`, 400, "The body is not"},
		{"POST", "/projects/none/s3/credentials", `{"description":"for backups"}`, 404, "No such project"},
		{"POST", path, `{"description":"for backups","claims":{"role":"authenticated"}}`, 201, made},
		{"POST", path, `{"description":"one more"}`, 400, "You have reached the maximum number of credentials allowed"},
		{"GET", path, "", 200, listed},
		{"DELETE", path, `{"id":"x"}`, 400, "id not uuid"},
		{"DELETE", path, `{"id":"` + id + `"}`, 204, ""},
		{"DELETE", path + "/" + id, "", 204, ""},
		{"GET", path, "", 200, "[]"},
	} {
		status, header, body := p.call(t, test.method, test.path, test.body, bearer(password)...)
		if status != test.status || !strings.Contains(body, test.want) || header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s %s: got %d %s, want %d %s", test.method, test.path, test.body, status, body, test.status, test.want)
		}
	}
	if text := p.ask(t, http.MethodGet, "/audit?action=s3_key.", "", 200, nil); strings.Count(text, "s3_key.create") != 2 || strings.Count(text, "s3_key.revoke") != 2 {
		t.Errorf("written down: %s", text)
	}
	if status, _, _ := p.call(t, http.MethodGet, path, ""); status != 401 {
		t.Errorf("without a password: %d", status)
	}
}
