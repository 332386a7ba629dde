package seal_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/madbase/madbase/modules/auth/seal"
	"github.com/madbase/madbase/platform/secret"
)

func key(b byte) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat(string(b), 32)))
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	box, err := seal.New(seal.Config{Encrypt: true, KeyID: "k1", Key: secret.String(key('a')), DecryptionKeys: secret.String("k0:" + key('b') + ",k1:" + key('a'))})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := box.Seal("row", "a secret")
	if err != nil || strings.Contains(sealed, "a secret") {
		t.Fatal(sealed, err)
	}
	if text, err := box.Open("row", sealed); err != nil || text != "a secret" {
		t.Error(text, err)
	}
	if text, err := box.Open("another row", sealed); err == nil {
		t.Error("it opens for another row:", text)
	}
	if text, err := box.Open("row", "$2a$10$plain"); err != nil || text != "$2a$10$plain" {
		t.Error(text, err)
	}
	if sealed, _ := box.Seal("row", ""); sealed != "" {
		t.Error("nothing is sealed")
	}
	later, err := seal.New(seal.Config{DecryptionKeys: secret.String("k1:" + key('a'))})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := later.Open("row", sealed); err != nil || text != "a secret" {
		t.Error("without encryption:", text, err)
	}
	if _, err := (&seal.Box{}).Open("row", sealed); err == nil {
		t.Error("it opens without the key")
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]seal.Config{
		"KEY_ID":          {Encrypt: true, Key: secret.String(key('a')), DecryptionKeys: secret.String("k:" + key('a'))},
		"ENCRYPTION_KEY":  {Encrypt: true, KeyID: "k", Key: "short", DecryptionKeys: secret.String("k:" + key('a'))},
		"DECRYPTION_KEYS": {Encrypt: true, KeyID: "k", Key: secret.String(key('a'))},
		"name:key":        {DecryptionKeys: "k"},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
