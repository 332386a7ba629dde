package auth

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/madbase/madbase/modules/auth/token"
	"github.com/madbase/madbase/platform/apierr"
)

// FuzzRequestBody: whatever is sent, the answer is a value or a 400, and texts are UTF-8.
func FuzzRequestBody(f *testing.F) {
	for _, seed := range []string{`{"email":"a@b.c","password":"x","data":{"k":[1,null]}}`, `null`, `[]`, `{"email":1}`, "{\"phone\":\"\xff\"}", `{"password":"\ud800"}`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, v := range []any{&signupRequest{}, &passwordRequest{}, &refreshRequest{}, &userUpdateRequest{}, &adminUserRequest{}} {
			err := decode(body, v)
			if e, ok := errors.AsType[*apierr.Error](err); err != nil && (!ok || e.Status != 400 || !utf8.ValidString(e.Message)) {
				t.Errorf("%T: %v", v, err)
			}
			if r, ok := v.(*signupRequest); ok && err == nil && !(utf8.ValidString(r.Email) && utf8.ValidString(r.Password)) {
				t.Errorf("not UTF-8: %q", r)
			}
		}
	})
}

// FuzzAddress: an address that is taken can be stored, is in lower case, and is taken again.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"a@b.c", "A.B+c@Example.COM", "a@b@c", "@", "+1 555", "15551234567", "a@-b.c", "a\n@b.c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if email, err := parseEmail(text); err == nil {
			again, err := parseEmail(email)
			if err != nil || again != email || len(email) > maxEmail || email != strings.ToLower(email) || strings.ContainsAny(email, "\x00\n ") {
				t.Errorf("%q became %q, %q, %v", text, email, again, err)
			}
		}
		if phone, err := parsePhone(text); err == nil {
			if again, err := parsePhone(phone); err != nil || again != phone || len(phone) > 15 {
				t.Errorf("%q became %q, %q, %v", text, phone, again, err)
			}
		}
		if token.IsRefresh(text) && len(text) != token.RefreshLength {
			t.Errorf("refresh token %q", text)
		}
	})
}

// FuzzPaging: paging parameters are numbers of a sensible size, or refused.
func FuzzPaging(f *testing.F) {
	f.Add("1", "created_at asc")
	f.Add("-1", "email")
	f.Add("99999999999999999999", "created_at up")
	f.Fuzz(func(t *testing.T, number, sort string) {
		if n, err := parsePaging(number, 7); err == nil && n < 0 {
			t.Errorf("%q became %d", number, n)
		}
		_, _ = parseSort([]string{sort, number})
	})
}

// FuzzCredential: whatever an authenticator is said to have said, reading it ends in a value or an error.
func FuzzCredential(f *testing.F) {
	for _, seed := range []string{
		`{"id":"AQ","rawId":"AQ","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YUA"}}`,
		`{"id":"AQ","rawId":"AQ","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AA","signature":"AA","userHandle":"AA"}}`,
		`null`, `{"response":null}`, `{"id":1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		if made, err := parseRegistration(answer); err == nil && made == nil {
			t.Error("no registration and no error")
		}
		if used, err := parseAssertion(answer); err == nil && used == nil {
			t.Error("no assertion and no error")
		}
	})
}
