package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// timeout is enough for a project to be made with its database.
	timeout   = 2 * time.Minute
	maxAnswer = 64 << 20
)

// client speaks to one control plane.
type client struct {
	target Target
	base   *url.URL
	http   *http.Client
}

func newClient(t Target) (*client, error) {
	base, err := url.Parse(t.URL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.User != nil {
		return nil, errors.New("the address of madbase must look like https://example.com: set MADBASE_URL or --url")
	}
	if t.Password == "" {
		return nil, errors.New("there is no password: set ADMIN_PASSWORD in the environment or in .env")
	}
	refuse := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // it would take the password along
	return &client{target: t, base: base, http: &http.Client{Timeout: timeout, CheckRedirect: refuse}}, nil
}

// request is what is asked of a route of the control plane.
type request struct {
	method, path string
	query        url.Values
	// body becomes JSON; nil for none.
	body any
}

// call sends a request and returns the answer. What the server says is wrong is the error.
func (c *client) call(ctx context.Context, q request) ([]byte, error) {
	var payload io.Reader
	if raw, ok := q.body.(json.RawMessage); ok {
		payload = bytes.NewReader(raw)
	} else if q.body != nil {
		text, err := json.Marshal(q.body)
		if err != nil {
			return nil, fmt.Errorf("write the request: %w", err)
		}
		payload = bytes.NewReader(text)
	}
	target := strings.TrimSuffix(c.base.String(), "/") + "/platform/v1" + q.path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, q.method, target, payload)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+c.target.Password.Reveal())
	r.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("madbase cannot be reached at %s: %w", c.base.Redacted(), unwrapURL(err))
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the answer: %w", err)
	case len(answer) > maxAnswer:
		return nil, errors.New("the answer is too large")
	case res.StatusCode >= 300:
		return nil, c.refused(res, answer)
	}
	return answer, nil
}

// get asks a route and decodes the answer, which is returned as well.
func (c *client) get(ctx context.Context, path string, query url.Values, into any) ([]byte, error) {
	return c.ask(ctx, request{method: http.MethodGet, path: path, query: query}, into)
}

// ask is call for an answer that is decoded.
func (c *client) ask(ctx context.Context, q request, into any) ([]byte, error) {
	answer, err := c.call(ctx, q)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return nil, fmt.Errorf("%s is no control plane of madbase: its answer is not the JSON that is expected", c.base.Redacted())
	}
	return answer, nil
}

// refused says why the server did not do what was asked, with every fault on a line of its own.
func (c *client) refused(res *http.Response, answer []byte) error {
	var fault struct {
		Error  string          `json:"error"`
		Detail json.RawMessage `json:"detail"`
	}
	if err := json.Unmarshal(answer, &fault); err != nil || fault.Error == "" {
		return fmt.Errorf("%s answers %s: is it a madbase with its control plane?", c.base.Redacted(), res.Status)
	}
	text := fault.Error
	var list []string
	var one string
	switch {
	case fault.Detail == nil:
	case json.Unmarshal(fault.Detail, &list) == nil:
		for _, item := range list {
			text += "\n  - " + item
		}
	case json.Unmarshal(fault.Detail, &one) == nil && one != "":
		text += ": " + one
	}
	if res.StatusCode == http.StatusUnauthorized {
		text += " (ADMIN_PASSWORD in the environment or .env is not that of " + c.base.Redacted() + ")"
	}
	return errors.New(text)
}

// unwrapURL leaves out the method and address that net/http puts before its reasons.
func unwrapURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
