package storage

import (
	"errors"
	"time"

	"github.com/madbase/madbase/modules/storage/outbox"
)

// Config are the module's settings, by supabase/storage's names.
type Config struct {
	FileSizeLimit  int64 `env:"UPLOAD_FILE_SIZE_LIMIT,FILE_SIZE_LIMIT" default:"52428800" doc:"Largest object in bytes; a bucket's own limit cannot exceed it." group:"storage"`
	StandardLimit  int64 `env:"UPLOAD_FILE_SIZE_LIMIT_STANDARD,FILE_SIZE_LIMIT_STANDARD_UPLOAD" default:"0" doc:"Largest object in bytes that one plain upload may bring; 0 for no limit beside the others." group:"storage"`
	UploadTTL      int   `env:"UPLOAD_SIGNED_URL_EXPIRATION_TIME,SIGNED_UPLOAD_URL_EXPIRATION_TIME" default:"7200" doc:"Seconds that a signed upload URL is good for." group:"storage"`
	EmptyBucketMax int   `env:"STORAGE_EMPTY_BUCKET_MAX" default:"200000" doc:"Most objects that emptying a bucket deletes; a fuller bucket is refused." group:"storage"`
	SharedMaxAge   int   `env:"RESPONSE_S_MAXAGE" default:"0" doc:"Seconds of s-maxage in answers to conditional downloads; 0 leaves it out." group:"storage"`
	Images         ImageConfig
	S3             S3Config
	Outbox         outbox.Config
	ResumableLife  int64 `env:"TUS_URL_EXPIRY_MS" default:"3600000" doc:"Milliseconds that a resumable upload lives without a further byte; then what it brought is deleted." group:"storage"`
	ResumableMax   int   `env:"TUS_MAX_CONCURRENT_UPLOADS" default:"64" doc:"Bodies of resumable uploads to one project that a process can have whole parts of 8 MiB of in memory; those that trickle hold no more than came, and further ones wait." group:"storage" scope:"process"`
}

// Validate names every fault.
func (c Config) Validate() error {
	var errs []error
	if c.FileSizeLimit <= 0 {
		errs = append(errs, errors.New("UPLOAD_FILE_SIZE_LIMIT must be positive"))
	}
	if c.StandardLimit < 0 {
		errs = append(errs, errors.New("UPLOAD_FILE_SIZE_LIMIT_STANDARD must not be negative"))
	}
	if c.UploadTTL <= 0 {
		errs = append(errs, errors.New("UPLOAD_SIGNED_URL_EXPIRATION_TIME must be positive"))
	}
	if c.EmptyBucketMax <= 0 {
		errs = append(errs, errors.New("STORAGE_EMPTY_BUCKET_MAX must be positive"))
	}
	if c.SharedMaxAge < 0 {
		errs = append(errs, errors.New("RESPONSE_S_MAXAGE must not be negative"))
	}
	errs = append(errs, c.S3.Validate(), c.Images.Validate(), c.Outbox.Validate())
	if c.ResumableLife < 1000 || c.ResumableLife > maxResumableLife {
		errs = append(errs, errors.New("TUS_URL_EXPIRY_MS must be from 1000 to 604800000"))
	}
	if c.ResumableMax <= 0 {
		errs = append(errs, errors.New("TUS_MAX_CONCURRENT_UPLOADS must be positive"))
	}
	return errors.Join(errs...)
}

// maxBody bounds a JSON request body in bytes, as the real service does.
const maxBody = 1 << 20

// maxResumableLife is a week: a folder's blob store takes parts for forgotten after a month.
const maxResumableLife = int64(7 * 24 * time.Hour / time.Millisecond)

// finishTime bounds what is still done after the bytes are there or the row is
// gone, even when the client has left.
const finishTime = 30 * time.Second
