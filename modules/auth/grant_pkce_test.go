package auth

import (
	"net/url"
	"strings"
	"testing"
)

func TestChallengeIsAnsweredByItsOwnMethodOnly(t *testing.T) {
	// The pair of RFC 7636, appendix B.
	const verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	for _, c := range []struct {
		challenge, method, verifier string
		want                        bool
	}{
		{challenge, "s256", verifier, true},
		{challenge, "S256", verifier, true},
		{challenge, "s256", challenge, false}, // the downgrade: the challenge itself is no verifier
		{verifier, "plain", verifier, true},
		{challenge, "plain", verifier, false},
		{challenge, "", verifier, false},
		{challenge, "none", challenge, false},
		{"", "plain", "", false},
	} {
		if got := answersChallenge(c.challenge, c.method, c.verifier); got != c.want {
			t.Errorf("%+v: got %t", c, got)
		}
	}
}

// FuzzPKCE checks that what passes as parameters of PKCE can be stored and compared.
func FuzzPKCE(f *testing.F) {
	f.Add("code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256")
	f.Add("code_challenge=" + strings.Repeat("a", 128) + "&code_challenge_method=plain")
	f.Add("code_challenge=a&code_challenge_method=none")
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		p := pkceOf(values)
		if p.check() != nil {
			return
		}
		method := strings.ToLower(p.CodeChallengeMethod)
		switch {
		case !p.asked():
			if p.CodeChallengeMethod != "" {
				t.Errorf("a method without a challenge passes: %+v", p)
			}
		case method != challengeS256 && method != challengePlain, len(p.CodeChallenge) < 43, len(p.CodeChallenge) > 128:
			t.Errorf("%+v passes", p)
		case strings.Trim(p.CodeChallenge, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~") != "":
			t.Errorf("%q passes", p.CodeChallenge)
		}
	})
}
