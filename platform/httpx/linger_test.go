package httpx_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/madbase/madbase/platform/httpx"
)

// A client that sends more than anybody reads gets to read why it is refused.
func TestRefusedBodies(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := httpx.Refuse(w, r, func() error {
			w.WriteHeader(http.StatusForbidden)
			_, err := io.WriteString(w, "why")
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for _, size := range []int64{1 << 10, 24 << 20, 24 << 20, 24 << 20} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, io.LimitReader(endless{}, size))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = size
		response, err := client.Do(r)
		if err != nil {
			t.Errorf("%d bytes: %v", size, err)
			continue
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || string(body) != "why" || response.Close != (size > 256<<10) {
			t.Errorf("%d bytes: %q %v, closed: %t", size, body, err, response.Close)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
