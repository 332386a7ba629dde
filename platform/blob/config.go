package blob

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/madbase/madbase/platform/secret"
)

// Config says where objects are kept: in S3 when the S3 settings are there,
// else in a folder.
type Config struct {
	FilePath     string        `env:"STORAGE_FILE_PATH" default:"" doc:"Folder for objects when no S3 is configured; empty means storage/ in the data folder." group:"storage"`
	Endpoint     string        `env:"S3_ENDPOINT" default:"" doc:"URL of the S3 service that keeps objects; needs S3_ACCESS_KEY, S3_SECRET_KEY and S3_BUCKET too." group:"storage"`
	AccessKey    string        `env:"S3_ACCESS_KEY" default:"" doc:"Access key id for S3." group:"storage"`
	SecretKey    secret.String `env:"S3_SECRET_KEY" default:"" doc:"Secret access key for S3." group:"storage"`
	Bucket       string        `env:"S3_BUCKET" default:"" doc:"S3 bucket that keeps all objects." group:"storage"`
	Region       string        `env:"S3_REGION" default:"us-east-1" doc:"Region that S3 requests are signed for." group:"storage"`
	PathStyle    bool          `env:"S3_FORCE_PATH_STYLE" default:"true" doc:"Put the bucket into the path of S3 URLs rather than into the host name." group:"storage"`
	CreateBucket bool          `env:"S3_CREATE_BUCKET" default:"false" doc:"Create the S3 bucket at start when it does not exist." group:"storage"`
	// ResponseTimeout of 0 is the default.
	ResponseTimeout time.Duration `env:"S3_RESPONSE_TIMEOUT" default:"30s" doc:"How long S3 may move no byte of a request or its answer; four times that where it joins or copies objects." group:"storage"`
	UploadMemory    int64         `env:"S3_UPLOAD_MEMORY" default:"536870912" doc:"Bytes that all uploads on their way to S3 may hold in memory as they come, at least 33554432; what is beyond waits. 0 for no limit." group:"storage"`
}

// minUploadMemory is what two long uploads hold.
const minUploadMemory = 4 * UnsizedPart

// Driver names the store the settings ask for: "s3" or "fs".
func (c Config) Driver() string {
	if c.Endpoint != "" {
		return "s3"
	}
	return "fs"
}

// Validate returns every fault: the S3 settings that say which bucket come all
// together or not at all.
func (c Config) Validate() error {
	settings := []struct{ name, value string }{
		{"S3_ENDPOINT", c.Endpoint},
		{"S3_ACCESS_KEY", c.AccessKey},
		{"S3_SECRET_KEY", c.SecretKey.Reveal()},
		{"S3_BUCKET", c.Bucket},
	}
	var faults []error
	for _, s := range settings {
		if s.value == "" {
			faults = append(faults, fmt.Errorf("%s: must be set when other S3 settings are", s.name))
		}
	}
	if len(faults) == len(settings) {
		faults = nil
	}
	if c.UploadMemory != 0 && c.UploadMemory < minUploadMemory {
		faults = append(faults, fmt.Errorf("S3_UPLOAD_MEMORY: must be 0 or at least %d", minUploadMemory))
	}
	if c.ResponseTimeout < 0 {
		faults = append(faults, errors.New("S3_RESPONSE_TIMEOUT: must not be negative"))
	}
	if c.Endpoint != "" {
		u, err := url.Parse(c.Endpoint)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			faults = append(faults, errors.New("S3_ENDPOINT: not an http:// or https:// URL"))
		}
		if c.Region == "" {
			faults = append(faults, errors.New("S3_REGION: must not be empty"))
		}
	}
	return errors.Join(faults...)
}
