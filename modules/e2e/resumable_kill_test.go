package e2e_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/madbase/madbase/platform/testkit"
)

// TestKillDuringAResumableUpload kills madbase between two requests of an upload
// and within one: the next process goes on from what was acknowledged.
func TestKillDuringAResumableUpload(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]func(*testing.T) []string{
		"folder": func(*testing.T) []string { return nil },
		"S3":     s3Settings,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, settings := testkit.DataDir(t), env(t)
			s := alone(t, dir, settings...)
			s.createBucket(t, "docs")
			whole := strings.Repeat("0123456789abcdef", 20<<20/16)
			path := s.beginUpload(t, "20971520")
			s.patchUpload(t, path, "0", strings.NewReader(whole[:9<<20]), http.StatusNoContent)
			s.proxy.Kill()

			s = alone(t, dir, settings...)
			if offset := s.uploadOffset(t, path); offset != "9437184" {
				t.Fatalf("after a kill between requests the offset is %q", offset)
			}
			killed := make(chan struct{})
			body := &stalled{left: 1 << 20, reached: make(chan struct{}), end: killed}
			over := make(chan struct{})
			go func() {
				defer close(over)
				s.patchUpload(t, path, "9437184", io.MultiReader(strings.NewReader(whole[9<<20:18<<20]), body), 0)
			}()
			<-body.reached
			s.proxy.Kill()
			close(killed)
			<-over

			s = alone(t, dir, settings...)
			offset := s.uploadOffset(t, path)
			at, known := map[string]int{"9437184": 9 << 20, "16777216": 16 << 20, "17825792": 17 << 20}[offset]
			if !known {
				t.Fatalf("after a kill within a request the offset is %q", offset)
			}
			s.patchUpload(t, path, offset, strings.NewReader(whole[at:]), http.StatusNoContent)
			key := s.keys.Service.Reveal()
			if status, body := testkit.Get(t, s.url+"/storage/v1/object/docs/large", "apikey", key, "Authorization", "Bearer "+key); status != http.StatusOK || body != whole {
				t.Errorf("%d, %d bytes", status, len(body))
			}
			if n := s.count(t, "storage.objects"); n != 1 {
				t.Errorf("%d rows", n)
			}
		})
	}
}

// resumable sends a request of an upload; nil when there was no answer.
func (s *shape) resumable(t *testing.T, method, path string, body io.Reader, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+"/storage/v1/upload/resumable"+path, body)
	if err != nil {
		t.Error(err)
		return nil
	}
	r.Header.Set("Authorization", "Bearer "+s.keys.Service.Reveal())
	r.Header.Set("Tus-Resumable", "1.0.0")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response
}

// beginUpload begins an upload to docs/large and returns the last part of its URL.
func (s *shape) beginUpload(t *testing.T, length string) string {
	t.Helper()
	word := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	got := s.resumable(t, http.MethodPost, "", nil, "Upload-Length", length, "Upload-Metadata", "bucketName "+word("docs")+",objectName "+word("large"))
	if got == nil || got.StatusCode != http.StatusCreated {
		t.Fatalf("%+v", got)
	}
	location := got.Header.Get("Location")
	if !strings.HasPrefix(location, "http://") {
		t.Errorf("Location %q", location)
	}
	return location[strings.LastIndexByte(location, '/'):]
}

// patchUpload sends bytes and expects status, where 0 is no answer.
func (s *shape) patchUpload(t *testing.T, path, offset string, body io.Reader, status int) {
	t.Helper()
	got := s.resumable(t, http.MethodPatch, path, body, "Content-Type", "application/offset+octet-stream", "Upload-Offset", offset)
	if got == nil && status != 0 || got != nil && got.StatusCode != status {
		t.Errorf("at %s: %+v, want %d", offset, got, status)
	}
}

func (s *shape) uploadOffset(t *testing.T, path string) string {
	t.Helper()
	got := s.resumable(t, http.MethodHead, path, nil)
	if got == nil || got.StatusCode != http.StatusOK {
		t.Fatalf("%+v", got)
	}
	return got.Header.Get("Upload-Offset")
}
