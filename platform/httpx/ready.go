package httpx

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// CheckReady asks the process at baseURL for /readyz and returns nil when it is
// ready, else its reason.
func CheckReady(ctx context.Context, client http.RoundTripper, baseURL string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(baseURL, "/")+"/readyz", http.NoBody)
	if err != nil {
		return fmt.Errorf("httpx: %w", err)
	}
	response, err := client.RoundTrip(r)
	if err != nil {
		return fmt.Errorf("httpx: nothing answers at %s: %w", baseURL, err)
	}
	defer response.Body.Close()
	reason, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		return fmt.Errorf("httpx: read readiness: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("httpx: %s is not ready: %s", baseURL, strings.TrimSpace(string(reason)))
	}
	return nil
}
