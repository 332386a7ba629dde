package outbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/egress"
	"github.com/madbase/madbase/platform/secret"
)

const (
	// webhookTime and purgeTime bound a request, as supabase/storage does.
	webhookTime = 6 * time.Second
	purgeTime   = 10 * time.Second
	// maxAnswer is how much of an answer is read, so that its connection can be used again.
	maxAnswer = 64 << 10
	// eventVersion is the version of the events' form.
	eventVersion = "v1"
)

// receiver is who gets the news.
type receiver struct {
	webhook, purge *http.Client
	cfg            Config
}

func newReceiver(cfg Config) *receiver {
	return &receiver{webhook: egress.Client(webhookTime, true), purge: egress.Client(purgeTime, true), cfg: cfg} // the operator names the addresses
}

// delivery is the webhook's body, by supabase/storage's names.
type delivery struct {
	Type   string          `json:"type"`
	Event  event           `json:"event"`
	SentAt string          `json:"sentAt"`
	Tenant json.RawMessage `json:"tenant"`
}

type event struct {
	Type      string          `json:"type"`
	Region    string          `json:"region"`
	Version   string          `json:"$version"`
	ApplyTime int64           `json:"applyTime"` // milliseconds since 1970
	Payload   json.RawMessage `json:"payload"`
}

// send delivers one row. What there is no receiver for any more counts as delivered.
func (r *receiver) send(ctx context.Context, news store.Outgoing) error {
	if news.Kind == store.PurgeCache {
		if r.cfg.PurgeURL == "" {
			return nil
		}
		return r.post(ctx, r.purge, r.purgeURL(), r.cfg.PurgeKey, news.Payload)
	}
	if r.cfg.WebhookURL == "" {
		return nil
	}
	var payload struct {
		Tenant json.RawMessage `json:"tenant"`
	}
	if err := json.Unmarshal(news.Payload, &payload); err != nil {
		return fmt.Errorf("outbox: payload: %w", err)
	}
	body, err := json.Marshal(delivery{
		Type: "Webhook", SentAt: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), Tenant: payload.Tenant,
		Event: event{news.Kind, r.cfg.Region, eventVersion, news.CreatedAt.UnixMilli(), news.Payload},
	})
	if err != nil {
		return fmt.Errorf("outbox: event: %w", err)
	}
	return r.post(ctx, r.webhook, r.cfg.WebhookURL, r.cfg.WebhookAPIKey, body)
}

// Purge says what a CDN is to forget.
type Purge struct {
	// Type is tenant, bucket or object; or one of them with -transforms, for what
	// was made of its images only.
	Type   string `json:"type"`
	Tenant struct {
		Ref string `json:"ref"`
	} `json:"tenant"`
	Bucket string `json:"bucketId,omitempty"`
	Object string `json:"objectName,omitempty"`
}

// News is p to be put down.
func (p Purge) News() store.News {
	text, _ := json.Marshal(p) // strings always marshal
	return store.News{Kind: store.PurgeCache, Payload: text}
}

// Purge has the CDN forget now. It needs CDN.
func (o *Outbox) Purge(ctx context.Context, p Purge) error {
	return o.receiver.post(ctx, o.receiver.purge, o.receiver.purgeURL(), o.cfg.PurgeKey, p.News().Payload)
}

// purgeURL is the setting's path with /purge, without its query.
func (r *receiver) purgeURL() string {
	base, _, _ := strings.Cut(r.cfg.PurgeURL, "#")
	base, _, _ = strings.Cut(base, "?")
	return strings.TrimSuffix(base, "/") + "/purge"
}

func (r *receiver) post(ctx context.Context, client *http.Client, url string, key secret.String, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key.Reveal())
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer)) // only for the connection's sake
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("outbox: answered with status %d", response.StatusCode)
	}
	return nil
}
