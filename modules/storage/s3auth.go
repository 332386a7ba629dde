package storage

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/storage/accesskey"
	"github.com/madbase/madbase/modules/storage/s3api"
	"github.com/madbase/madbase/modules/storage/sigv4"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/project"
)

// s3Path is where the S3 protocol is served, behind the module's own prefix. The
// real service has it there too, so clients may have signed it without that prefix.
const s3Path = "/s3"

// S3Config are the settings of the S3 protocol, by supabase/storage's names.
type S3Config struct {
	Enabled       bool   `env:"S3_PROTOCOL_ENABLED" default:"true" doc:"Serve the S3 protocol at /storage/v1/s3." group:"storage"`
	Region        string `env:"S3_PROTOCOL_REGION,STORAGE_S3_REGION" default:"us-east-1" doc:"Region that the S3 protocol answers to be in." group:"storage"`
	EnforceRegion bool   `env:"S3_PROTOCOL_ENFORCE_REGION" default:"false" doc:"Refuse signatures made for another region." group:"storage"`
	Prefix        string `env:"S3_PROTOCOL_PREFIX" doc:"Path that a proxy takes off S3 requests, where it names none in X-Forwarded-Prefix; clients sign it." group:"storage"`
	HostHeader    string `env:"S3_PROTOCOL_NON_CANONICAL_HOST_HEADER" doc:"Header in which a proxy passes on the host that S3 clients have signed, where it is not X-Forwarded-Host." group:"storage"`
	Forwarded     bool   `env:"S3_ALLOW_FORWARDED_HEADER" default:"false" doc:"Look for that host in the header Forwarded, too." group:"storage"`
	Key           accesskey.Config
}

// Validate names every fault.
func (c S3Config) Validate() error {
	var errs []error
	if c.Prefix != "" && (!strings.HasPrefix(c.Prefix, "/") || strings.HasSuffix(c.Prefix, "/")) {
		errs = append(errs, errors.New("S3_PROTOCOL_PREFIX must begin with a slash and not end with one"))
	}
	return errors.Join(append(errs, c.Key.Validate())...)
}

// s3Authenticate verifies the request's signature: who signed it, and its body,
// which the handler reads to the end before it commits anything.
func (m *Module) s3Authenticate(c echo.Context) (*claims.Caller, *sigv4.Payload, error) {
	r := c.Request()
	signature, err := sigv4.Parse(r)
	if err != nil {
		return nil, nil, err
	}
	signer, err := m.s3Signer(r, signature)
	if err != nil {
		return nil, nil, err
	}
	payload, err := m.s3Verifier().Verify(r, signature, signer.Secrets...)
	return signer.Caller, payload, err
}

// s3AuthenticatePost is s3Authenticate for an HTML form that uploads to bucket.
func (m *Module) s3AuthenticatePost(c echo.Context, bucket string) (*claims.Caller, *sigv4.Form, *sigv4.Payload, error) {
	r := c.Request()
	form, err := sigv4.ParsePost(r)
	if err != nil {
		return nil, nil, nil, err
	}
	signer, err := m.s3Signer(r, form.Signature)
	if err != nil {
		return nil, nil, nil, err
	}
	payload, err := m.s3Verifier().VerifyPost(form, bucket, signer.Secrets...)
	return signer.Caller, form, payload, err
}

// s3Signer finds whose access key it is.
func (m *Module) s3Signer(r *http.Request, s *sigv4.Signature) (accesskey.Signer, error) {
	signer, err := m.keyring.Find(r.Context(), project.From(r.Context()), s.AccessKey, s.SessionToken)
	switch {
	case errors.Is(err, accesskey.ErrUnknown):
		return signer, apierr.New(http.StatusForbidden, "AccessDenied", "Invalid Access Key")
	case err != nil && s.SessionToken != "":
		return signer, apierr.New(http.StatusForbidden, "AccessDenied", tokenMessage(err)).Because(err)
	}
	return signer, err
}

func (m *Module) s3Verifier() *sigv4.Verifier {
	v := &sigv4.Verifier{Hosts: m.s3Hosts, Paths: m.s3Paths}
	if m.cfg.S3.EnforceRegion {
		v.Regions = []string{m.cfg.S3.Region}
	}
	return v
}

// s3Hosts lists what the client may have called this host: proxies rewrite Host, and
// clients leave out the scheme's own port where proxies name it.
func (m *Module) s3Hosts(r *http.Request) []string {
	var hosts []string
	add := func(host, port string) {
		if host = strings.TrimSpace(host); host == "" {
			return
		}
		bare, _, _ := strings.Cut(host, ":")
		if strings.HasPrefix(host, "[") { // an IPv6 address
			bare = host[:strings.IndexByte(host, ']')+1]
		}
		hosts = append(hosts, host)
		if port != "" {
			hosts = append(hosts, bare+":"+port)
		}
		hosts = append(hosts, strings.TrimSuffix(strings.TrimSuffix(host, ":80"), ":443"), bare)
	}
	h := r.Header
	port := h.Get("X-Forwarded-Port")
	if !isNumber(port) || port == "80" || port == "443" {
		port = ""
	}
	if p, err := url.Parse(project.From(r.Context()).PublicURL); err == nil {
		add(p.Host, "")
	}
	first, _, _ := strings.Cut(h.Get("X-Forwarded-Host"), ",")
	add(strings.ToLower(first), port)
	if name := m.cfg.S3.HostHeader; name != "" {
		add(strings.ToLower(h.Get(name)), "")
	}
	if m.cfg.S3.Forwarded {
		add(forwardedHost(h.Get("Forwarded")), "")
	}
	add(r.Host, "")
	return hosts
}

// forwardedHost is the host of RFC 7239's header, as the first proxy names it.
func forwardedHost(forwarded string) string {
	first, _, _ := strings.Cut(forwarded, ",")
	for pair := range strings.SplitSeq(first, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if strings.EqualFold(name, "host") {
			return strings.ToLower(strings.Trim(value, `"`))
		}
	}
	return ""
}

// s3Paths lists what the client may have called the request's path: as it came; under
// what a proxy took off it; without this module's prefix, as behind a gateway that
// puts it there; and without any, where a host of its own leads here. A path must not
// mean one object to who signed it and another here: the last is left out for buckets
// called like the first part of the others.
func (m *Module) s3Paths(r *http.Request) []string {
	full := r.URL.EscapedPath()
	rest := strings.TrimPrefix(full, m.prefix+s3Path)
	own := []string{"", m.cfg.S3.Prefix}
	if p, err := url.Parse(project.From(r.Context()).PublicURL); err == nil {
		own = append(own, strings.TrimSuffix(p.EscapedPath(), "/"))
	}
	target, _ := s3api.ParseTarget(rest) // has been read before
	ambiguous := slices.ContainsFunc(append([]string{m.prefix, s3Path}, own...), func(prefix string) bool {
		first, _, _ := strings.Cut(strings.TrimPrefix(prefix, "/"), "/")
		return first != "" && first == target.Bucket
	})
	var paths []string
	for i, prefix := range own {
		if slices.Contains(own[:i], prefix) {
			continue
		}
		paths = append(paths, prefix+full, prefix+s3Path+rest)
		if !ambiguous {
			paths = append(paths, prefix+rest)
		}
	}
	if prefix, ok := forwardedPrefix(r.Header); ok {
		paths = append(paths, prefix+full, prefix+s3Path+rest)
	}
	return paths
}

// forwardedPrefix is what a proxy says that it took off the path. Some pass on what a
// client says it is: one that has the protocol's own part in it would make of the
// signed path of an object that of another, named like its end.
func forwardedPrefix(h http.Header) (string, bool) {
	prefix := strings.TrimSuffix(h.Get("X-Forwarded-Prefix"), "/")
	plain, err := url.PathUnescape(prefix)
	return prefix, err == nil && prefix != "" && !strings.Contains(plain+"/", s3Path+"/")
}

func isNumber(text string) bool {
	return text != "" && len(text) <= 5 && strings.Trim(text, "0123456789") == ""
}
