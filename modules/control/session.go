package control

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"github.com/madbase/madbase/platform/secret"
)

// sessionPrefix tells a session's token from a password.
const sessionPrefix = "mbs_"

// sessions issues and checks session tokens. They carry their end and a MAC, so
// that every control process knows them and none stores them.
type sessions struct {
	key secret.String
	ttl time.Duration
	now func() time.Time
}

// sessionKey depends on both secrets: a new password ends all sessions.
func sessionKey(jwtSecret, password secret.String) secret.String {
	return secret.String(jwtSecret.Reveal()+"\x00"+password.Reveal()).Derive("control-session", 32)
}

func (s sessions) issue() (token string, expires time.Time) {
	expires = s.now().Add(s.ttl).Truncate(time.Second)
	end := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix()))
	return sessionPrefix + base64.RawURLEncoding.EncodeToString(append(end, s.mac(end)...)), expires
}

// valid compares in time independent of where the MAC differs.
func (s sessions) valid(token string) bool {
	text, found := strings.CutPrefix(token, sessionPrefix)
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if !found || err != nil || len(raw) != 8+sha256.Size {
		return false
	}
	end, mac := raw[:8], raw[8:]
	return hmac.Equal(mac, s.mac(end)) && s.now().Unix() < int64(binary.BigEndian.Uint64(end))
}

func (s sessions) mac(end []byte) []byte {
	h := hmac.New(sha256.New, []byte(s.key.Reveal()))
	h.Write(end)
	return h.Sum(nil)
}
