package outbox

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/madbase/madbase/platform/secret"
)

// Config says where news go, by supabase/storage's names.
type Config struct {
	WebhookURL    string        `env:"WEBHOOK_URL" default:"" doc:"URL that gets a POST for every object that was created, copied, moved or removed; empty for none." group:"storage"`
	WebhookAPIKey secret.String `env:"WEBHOOK_API_KEY" default:"" doc:"Bearer token that those requests carry." group:"storage"`
	Concurrency   int           `env:"QUEUE_WEBHOOK_CONCURRENCY" default:"5" doc:"Requests to WEBHOOK_URL and the CDN that one process has under way at once." group:"storage"`
	Region        string        `env:"SERVER_REGION,REGION" default:"not-specified" doc:"Region that events name." group:"storage"`
	PurgeURL      string        `env:"CDN_PURGE_ENDPOINT_URL" default:"" doc:"Service whose /purge is told what a CDN is to forget; empty for none." group:"storage"`
	PurgeKey      secret.String `env:"CDN_PURGE_ENDPOINT_KEY" default:"" doc:"Bearer token for CDN_PURGE_ENDPOINT_URL." group:"storage"`
}

// Validate names every fault.
func (c Config) Validate() error {
	var faults []error
	for _, setting := range []struct{ name, value string }{{"WEBHOOK_URL", c.WebhookURL}, {"CDN_PURGE_ENDPOINT_URL", c.PurgeURL}} {
		u, err := url.Parse(setting.value)
		if setting.value != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			faults = append(faults, fmt.Errorf("%s: not an http:// or https:// URL", setting.name))
		}
	}
	if c.Concurrency < 0 || c.Concurrency > maxConcurrency {
		faults = append(faults, fmt.Errorf("QUEUE_WEBHOOK_CONCURRENCY must be from 0, for the default, to %d", maxConcurrency))
	}
	return errors.Join(faults...)
}

// maxConcurrency keeps a lease longer than a batch may take.
const maxConcurrency = 500
