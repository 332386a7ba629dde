package cli

import (
	"errors"
	"net/url"
)

// Config says which madbase the commands are for.
type Config struct {
	URL string `env:"MADBASE_URL" doc:"Address at which the commands project, key, signing-key, s3-key, settings, audit and logs reach madbase or its control process. Empty: the public URL." group:"optional"`
}

// Validate names a faulty address.
func (c Config) Validate() error {
	if u, err := url.Parse(c.URL); c.URL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("MADBASE_URL is not an http or https URL")
	}
	return nil
}
