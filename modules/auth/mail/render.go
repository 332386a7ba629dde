package mail

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/madbase/madbase/platform/egress"
)

// fetchTimeout bounds how long a template's server may take.
const fetchTimeout = 10 * time.Second

// Renderer writes drafts out. It fetches the templates that settings name and
// keeps them; where one cannot be had, the last one or the built-in stands in.
// No request waits for it: drafts are written out when they leave.
type Renderer struct {
	cfg     Config
	siteURL string
	log     *slog.Logger
	client  *http.Client
	now     func() time.Time

	mu    sync.Mutex
	cache map[Kind]*cached
}

// cached is a kind's template; its lock is held while it is fetched.
type cached struct {
	mu sync.Mutex
	*parsedTemplate
	// goodUntil is when it is fetched again.
	goodUntil time.Time
}

// NewRenderer takes the app's address, under which templates that are named by a
// path are found.
func NewRenderer(cfg Config, siteURL string, log *slog.Logger) *Renderer {
	return &Renderer{
		cfg: cfg, siteURL: siteURL, log: log, now: time.Now, cache: map[Kind]*cached{},
		client: egress.Client(fetchTimeout, true), // the operator names the addresses
	}
}

// Letter is a mail as its reader gets it.
type Letter struct {
	Kind    Kind   `json:"kind"`
	To      string `json:"to"`
	Subject string `json:"subject"`
	HTML    string `json:"html"`
	// Token and Link are the draft's code and link, wherever the template has them.
	Token string `json:"token"`
	Link  string `json:"link"`
}

// Render writes a draft out. A template of the operator's that fails on it gives
// way to the built-in.
func (r *Renderer) Render(ctx context.Context, d Draft) (Letter, error) {
	t, err := r.template(ctx, d.Kind)
	if err != nil {
		return Letter{}, err
	}
	subject, html, err := t.write(d.Data)
	if err != nil {
		r.log.ErrorContext(ctx, "the template of a mail fails, the built-in is sent", "kind", d.Kind, "error", err)
		if t, err = parse(d.Kind, "", ""); err == nil {
			subject, html, err = t.write(d.Data)
		}
	}
	letter := Letter{Kind: d.Kind, To: d.To, Subject: subject, HTML: html}
	letter.Token, _ = d.Data["Token"].(string)
	letter.Link, _ = d.Data["ConfirmationURL"].(string)
	return letter, err
}

func (r *Renderer) template(ctx context.Context, kind Kind) (*parsedTemplate, error) {
	if _, found := builtIns[kind]; !found {
		return nil, fmt.Errorf("mail: there is no kind %q", kind)
	}
	r.mu.Lock()
	entry := r.cache[kind]
	if entry == nil {
		entry = &cached{}
		r.cache[kind] = entry
	}
	r.mu.Unlock()
	entry.mu.Lock()
	defer entry.mu.Unlock()
	if entry.parsedTemplate != nil && r.now().Before(entry.goodUntil) {
		return entry.parsedTemplate, nil
	}
	fresh, err := r.load(ctx, kind)
	if err != nil {
		r.log.ErrorContext(ctx, "a mail's template cannot be had", "kind", kind, "error", err)
		entry.goodUntil = r.now().Add(r.cfg.TemplateRetry)
		if entry.parsedTemplate == nil {
			entry.parsedTemplate, err = parse(kind, "", "")
			return entry.parsedTemplate, err
		}
		return entry.parsedTemplate, nil
	}
	entry.parsedTemplate, entry.goodUntil = fresh, r.now().Add(r.cfg.TemplateMaxAge)
	return fresh, nil
}

// load fetches a kind's body, if a setting names one, and parses it.
func (r *Renderer) load(ctx context.Context, kind Kind) (*parsedTemplate, error) {
	subject, at := r.cfg.Subjects[string(kind)], r.cfg.Templates[string(kind)]
	if at == "" {
		return parse(kind, subject, "")
	}
	if !strings.HasPrefix(at, "http") {
		at = r.siteURL + at
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	body, err := egress.Get(ctx, r.client, at, "text/html, */*", int64(r.cfg.TemplateMaxSize))
	if err != nil {
		return nil, fmt.Errorf("mail: template of %s: %w", kind, err)
	}
	return parse(kind, subject, string(body))
}
