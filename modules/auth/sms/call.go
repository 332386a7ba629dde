package sms

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Bounds of a call to a provider.
const (
	callTimeout = 10 * time.Second // GoTrue's
	maxAnswer   = 64 << 10         // bytes; their answers have a few hundred
	maxWords    = 300              // bytes of a provider's words that are kept
)

// Error is a provider's refusal, or why it could not be asked.
type Error struct {
	Provider string
	// Status is the answer's, 0 without one; Code is the provider's own.
	Status int
	Code   string
	// Words are the provider's, without the account's identifiers.
	Words string
	// Recipient is true when the number is at fault, so that its owner may read the words.
	Recipient bool
	cause     error
}

// Error is for the operator.
func (e *Error) Error() string {
	text := "sms: " + e.Provider
	if e.Status != 0 {
		text += fmt.Sprintf(" answered %d", e.Status)
	}
	if e.Code != "" {
		text += ", code " + e.Code
	}
	if e.Words != "" {
		text += ": " + e.Words
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the reason of a call that failed on its way.
func (e *Error) Unwrap() error { return e.cause }

// account is how one provider is called.
type account struct {
	name   string
	base   string
	client *http.Client
	// authorize adds the credentials that are not in the form.
	authorize func(*http.Request)
	// hidden are texts that no error shows.
	hidden []string
}

func newAccount(name, base string, at Endpoint, hidden ...string) account {
	if at.BaseURL != "" {
		base = at.BaseURL
	}
	timeout := at.Timeout
	if timeout <= 0 {
		timeout = callTimeout
	}
	transport := at.Transport
	if transport == nil {
		transport = &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSHandshakeTimeout:   5 * time.Second,
			ResponseHeaderTimeout: timeout,
			IdleConnTimeout:       time.Minute,
			MaxConnsPerHost:       32,
			ForceAttemptHTTP2:     true,
		}
	}
	return account{
		name: name, base: base, hidden: hidden, authorize: func(*http.Request) {},
		client: &http.Client{
			Transport: transport, Timeout: timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// post sends a form and decodes the JSON that comes back into answer. The error
// tells only of calls and answers that did not arrive; status is for the provider to judge.
func (a account) post(ctx context.Context, path string, form url.Values, answer any) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, a.failed(0, errors.New("the address is not one"))
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	a.authorize(req)
	resp, err := a.client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // without the address, which names the account
		}
		return 0, a.failed(0, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return resp.StatusCode, a.failed(resp.StatusCode, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber() // ids may be longer than a float64 is exact
	if len(body) > maxAnswer || decoder.Decode(answer) != nil {
		return resp.StatusCode, a.failed(resp.StatusCode, errors.New("the answer is not its JSON"))
	}
	return resp.StatusCode, nil
}

func (a account) failed(status int, cause error) *Error {
	return &Error{Provider: a.name, Status: status, cause: cause}
}

// refused is the error of an answer that says no.
func (a account) refused(status int, code any, words string) *Error {
	e := &Error{Provider: a.name, Status: status, Words: a.clean(words)}
	if code != nil && code != "" {
		e.Code = a.clean(fmt.Sprint(code))
	}
	return e
}

// clean takes the account's own texts, and what would break a line of a log, out
// of a provider's words, and bounds them.
func (a account) clean(words string) string {
	for _, text := range a.hidden {
		if text != "" {
			words = strings.ReplaceAll(words, text, "[hidden]")
		}
	}
	words = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(words, ""))
	if len(words) > maxWords {
		words = strings.ToValidUTF8(words[:maxWords], "") + "..."
	}
	return strings.TrimSpace(words)
}

// done reports whether a provider has taken what was sent.
func done(status int) bool { return status == http.StatusOK || status == http.StatusCreated }
