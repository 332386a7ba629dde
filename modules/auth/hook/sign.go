package hook

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/madbase/madbase/platform/secret"
)

// signer makes one signature of Standard Webhooks.
type signer func(content []byte) string

// parseSigners reads the secrets of a hook: parted by '|', each v1,whsec_KEY for
// HMAC-SHA256 or v1a,whpk_PUBLIC:whsk_PRIVATE for Ed25519, in base64.
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
func parseSigners(secrets secret.String) ([]signer, error) {
	var signers []signer
	for text := range strings.SplitSeq(secrets.Reveal(), "|") {
		if text == "" {
			continue
		}
		s, err := parseSigner(text)
		if err != nil {
			return nil, err
		}
		signers = append(signers, s)
	}
	return signers, nil
}

func parseSigner(text string) (signer, error) {
	if encoded, ok := strings.CutPrefix(text, "v1,whsec_"); ok {
		key, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(key) < 24 || len(key) > 64 {
			return nil, errors.New("must have 24 to 64 bytes in base64 after v1,whsec_")
		}
		return func(content []byte) string {
			mac := hmac.New(sha256.New, key)
			mac.Write(content)
			return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		}, nil
	}
	_, encoded, ok := strings.Cut(text, ":whsk_")
	if !ok || !strings.HasPrefix(text, "v1a,whpk_") {
		return nil, errors.New("must begin with v1,whsec_")
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	switch {
	case err == nil && len(key) == ed25519.SeedSize:
		key = ed25519.NewKeyFromSeed(key)
	case err != nil || len(key) != ed25519.PrivateKeySize:
		return nil, errors.New("must have an Ed25519 key in base64 after whsk_")
	}
	return func(content []byte) string {
		return "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(key, content))
	}, nil
}

// sign returns the header webhook-signature of a message.
func sign(signers []signer, id, timestamp string, body []byte) string {
	content := append([]byte(id+"."+timestamp+"."), body...)
	var signatures []string
	for _, s := range signers {
		signatures = append(signatures, s(content))
	}
	return strings.Join(signatures, " ")
}
