package sigv4

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"strings"

	"github.com/madbase/madbase/platform/apierr"
)

// checksumPrefix begins the headers and trailers that carry a body's checksum.
const checksumPrefix = "x-amz-checksum-"

// nvme is the CRC-64 of NVM Express, reversed as hash/crc64 has it.
var nvme = crc64.MakeTable(0x9a6c9329ac4bc9b5)

// checksums are those that S3 has and the standard library computes.
var checksums = map[string]func() hash.Hash{
	"crc32":     func() hash.Hash { return crc32.NewIEEE() },
	"crc32c":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"crc64nvme": func() hash.Hash { return crc64.New(nvme) },
	"md5":       md5.New,
	"sha1":      sha1.New,
	"sha256":    sha256.New,
	"sha512":    sha512.New,
}

// checksum is computed over a body and compared with what the client says.
type checksum struct {
	hash.Hash
	name string // x-amz-checksum-crc32; empty for others
	want []byte // nil until the trailer tells
	err  *apierr.Error
}

func (c *checksum) verify() error {
	if subtle.ConstantTimeCompare(c.Sum(nil), c.want) != 1 {
		return c.err
	}
	return nil
}

// tell sets what the client says, in base64.
func (c *checksum) tell(text string) error {
	want, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(want) != c.Size() {
		return errRequest("Value for " + c.name + " header is invalid.")
	}
	c.want = want
	return nil
}

// newChecksum returns the checksum that a header or trailer is named after, which
// is in lower case.
func newChecksum(name string) (*checksum, error) {
	kind, ok := strings.CutPrefix(name, checksumPrefix)
	if start := checksums[kind]; ok && start != nil {
		return &checksum{
			Hash: start(), name: name,
			err: errDigest("The " + strings.ToUpper(kind) + " you specified did not match the calculated checksum."),
		}, nil
	}
	return nil, errRequest("The checksum " + name + " is not supported")
}

// bodyChecksums are those that the request's headers tell of its body.
func bodyChecksums(r *http.Request, s *Signature) (list []*checksum, err error) {
	if want, err := hex.DecodeString(s.payload); err == nil && len(want) == sha256.Size {
		list = append(list, &checksum{Hash: sha256.New(), want: want, err: errPayloadHash()})
	}
	if text := r.Header.Get("Content-Md5"); text != "" {
		want, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(want) != md5.Size {
			return nil, fail(http.StatusBadRequest, "InvalidDigest", "The Content-MD5 you specified is not valid.")
		}
		list = append(list, &checksum{Hash: md5.New(), want: want, err: errDigest("The Content-MD5 you specified did not match what we received.")})
	}
	if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") {
		return list, nil // the end of an upload in parts: its headers speak of the object
	}
	for name, values := range r.Header {
		name = strings.ToLower(name)
		if !strings.HasPrefix(name, checksumPrefix) || aboutChecksums[name] {
			continue
		}
		sum, err := newChecksum(name)
		if err != nil {
			return nil, err
		}
		if err := sum.tell(values[0]); err != nil {
			return nil, err
		}
		list = append(list, sum)
	}
	return list, nil
}

// aboutChecksums are the headers of checksums that carry none.
var aboutChecksums = map[string]bool{
	checksumPrefix + "algorithm": true, checksumPrefix + "mode": true, checksumPrefix + "type": true,
}
