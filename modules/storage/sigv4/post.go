package sigv4

import (
	"crypto/subtle"
	"errors"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/madbase/madbase/platform/secret"
)

// Bounds of a form without its file. S3 takes 20 kB of fields.
const (
	maxFields    = 64
	maxFieldsLen = 64 << 10
	// maxBeforeFile bounds the fields with all that is around them.
	maxBeforeFile = 256 << 10
)

// Form is an upload by an HTML form (Amazon S3's "POST Object"): fields, of which
// one is a signed policy, and then the file.
type Form struct {
	// Fields are those before the file, by their names in lower case.
	Fields map[string]string
	// FileName and ContentType are what the file's part says of it.
	FileName, ContentType string
	// Signature is that of the policy.
	Signature *Signature

	file *multipart.Part
}

// ParsePost reads r's form up to its file. r must be multipart/form-data.
func ParsePost(r *http.Request) (*Form, error) {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || parameters["boundary"] == "" {
		return nil, errRequest("The body of your POST request is not well-formed multipart/form-data.").Because(err)
	}
	before := &io.LimitedReader{R: r.Body, N: maxBeforeFile}
	parts := multipart.NewReader(before, parameters["boundary"])
	f := &Form{Fields: map[string]string{}}
	for left := maxFieldsLen; f.file == nil; {
		part, err := parts.NextRawPart()
		if err != nil {
			return nil, postFault(err)
		}
		if left, err = f.take(part, left); err != nil {
			return nil, err
		}
	}
	before.N = math.MaxInt64
	if f.Signature, err = f.parseSignature(); err != nil {
		return nil, err
	}
	return f, nil
}

// take reads a part, of which left bytes may come, or keeps it as the file.
func (f *Form) take(part *multipart.Part, left int) (int, error) {
	name := strings.ToLower(part.FormName())
	if name == "file" {
		f.file, f.FileName, f.ContentType = part, part.FileName(), part.Header.Get("Content-Type")
		return left, nil
	}
	if _, twice := f.Fields[name]; twice {
		return 0, errForm("Duplicate form field in POST policy request")
	}
	value, err := io.ReadAll(io.LimitReader(part, int64(left)+1))
	if err != nil {
		return 0, postFault(err)
	}
	if left -= len(name) + len(value); left < 0 || len(f.Fields) == maxFields {
		return 0, fail(http.StatusBadRequest, "MaxPostPreDataLengthExceeded",
			"Your POST request fields preceding the upload file were too large.")
	}
	f.Fields[name] = string(value)
	return left, nil
}

func postFault(err error) error {
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fail(http.StatusBadRequest, "InvalidArgument", "POST requires exactly one file upload per request.")
	}
	return errRequest("The body of your POST request is not well-formed multipart/form-data.").Because(err)
}

func (f *Form) parseSignature() (*Signature, error) {
	credential, signature := f.Fields["x-amz-credential"], f.Fields["x-amz-signature"]
	if credential == "" || signature == "" || f.Fields["policy"] == "" || f.Fields["x-amz-date"] == "" {
		return nil, errForm("Invalid signature format")
	}
	if given, found := f.Fields["x-amz-algorithm"]; found && given != algorithm {
		return nil, errForm("Unsupported authorization type")
	}
	s := &Signature{SessionToken: f.Fields["x-amz-security-token"]}
	if err := s.setCredential(credential); err != nil {
		return nil, err
	}
	return s, s.setValue(signature)
}

// Key is the name that the object is to have: the field "key", in which ${filename}
// stands for the file's own.
func (f *Form) Key() string {
	return strings.ReplaceAll(f.Fields["key"], "${filename}", f.FileName)
}

// VerifyPost checks that one of secrets has signed f's policy, and the policy for a
// form that is sent to bucket. The Payload is the file; its size is unknown, and what
// the policy says of it and checksums among the fields are verified while it is read.
func (v *Verifier) VerifyPost(f *Form, bucket string, secrets ...secret.String) (*Payload, error) {
	if err := v.checkScope(f.Signature); err != nil {
		return nil, err
	}
	if !f.signedBy(secrets) {
		return nil, errMismatch(f.Signature)
	}
	p, err := parsePolicy(f.Fields["policy"])
	if err != nil {
		return nil, err
	}
	if p.expires.Before(v.now()) {
		return nil, errExpired()
	}
	payload := &Payload{src: f.file, size: -1, most: MaxPayload}
	if err := p.check(f.Fields, bucket, payload); err != nil {
		return nil, err
	}
	for name, text := range f.Fields {
		if !strings.HasPrefix(name, checksumPrefix) || aboutChecksums[name] {
			continue
		}
		sum, err := newChecksum(name)
		if err == nil {
			err = sum.tell(text)
		}
		if err != nil {
			return nil, err
		}
		payload.sums = append(payload.sums, sum)
	}
	return payload, nil
}

func (f *Form) signedBy(secrets []secret.String) bool {
	for _, secret := range secrets {
		if secret != "" && subtle.ConstantTimeCompare(sign(f.Signature.scope.key(secret), f.Fields["policy"]), f.Signature.value) == 1 {
			return true
		}
	}
	return false
}
