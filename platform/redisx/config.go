package redisx

import (
	"errors"
	"time"

	"github.com/redis/rueidis"

	"github.com/madbase/madbase/platform/secret"
)

// Config says where Redis is. Without a URL the drivers in process are used.
type Config struct {
	URL     secret.String `env:"REDIS_URL" default:"" doc:"Redis that processes share limits, cache and messages through, as redis://user:password@host:port/db (rediss:// for TLS, ?addr= for more nodes); empty keeps them in process." group:"optional"`
	Prefix  string        `env:"REDIS_PREFIX" default:"madbase" doc:"First part of every Redis key and channel, so that installations can share a Redis." group:"optional"`
	Timeout time.Duration `env:"REDIS_TIMEOUT" default:"500ms" doc:"Longest wait for one answer of Redis before it counts as away." group:"optional"`
}

// Enabled reports whether a Redis is configured at all.
func (c Config) Enabled() bool { return c.URL != "" }

// Validate returns every fault of the settings. The URL holds a password, so
// no fault quotes it.
func (c Config) Validate() error {
	var faults []error
	if c.Enabled() {
		if _, err := rueidis.ParseURL(c.URL.Reveal()); err != nil {
			faults = append(faults, errors.New("REDIS_URL: not a redis://, rediss:// or unix:// URL"))
		}
		if c.Prefix == "" {
			faults = append(faults, errors.New("REDIS_PREFIX: must not be empty"))
		}
		if c.Timeout <= 0 {
			faults = append(faults, errors.New("REDIS_TIMEOUT: must be above zero"))
		}
	}
	return errors.Join(faults...)
}
