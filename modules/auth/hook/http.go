package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/madbase/madbase/platform/apierr"
)

// errAgain says that another try may help.
var errAgain = errors.New("hook: try again")

// post sends body to the hook until it answers, at most tries times within the timeout.
func (r *Runner) post(parent context.Context, p point, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(parent, r.timeout)
	defer cancel()
	var answer []byte
	var err error
	for i := range tries {
		if i > 0 && !wait(ctx, r.backoff) {
			break
		}
		answer, err = r.try(ctx, p, body)
		if !errors.Is(err, errAgain) {
			break
		}
	}
	switch {
	case parent.Err() != nil:
		return nil, fmt.Errorf("hook: %w", context.Cause(parent))
	case ctx.Err() != nil:
		return nil, apierr.Newf(http.StatusUnprocessableEntity, codeTimeout, "Failed to reach hook within maximum time of %f seconds", r.timeout.Seconds()).Because(err)
	case errors.Is(err, errUnreached):
		return nil, apierr.New(http.StatusUnprocessableEntity, codeTimeoutRetry, "Failed to reach hook after maximum retries").Because(err)
	case errors.Is(err, errAgain):
		return nil, failed("Service currently unavailable due to hook").Because(err)
	}
	return answer, err
}

// errUnreached is errAgain where there was no answer at all.
var errUnreached = fmt.Errorf("%w: not reached", errAgain)

func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (r *Runner) try(ctx context.Context, p point, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return nil, failed("Hook failed to make request object").Because(err)
	}
	id, timestamp := uuid.NewString(), strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", timestamp)
	req.Header.Set("Webhook-Signature", sign(p.signers, id, timestamp, body))
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, errors.Join(errUnreached, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNoContent:
		return nil, nil
	case http.StatusOK, http.StatusAccepted:
		return readAnswer(resp)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if resp.Header.Get("Retry-After") != "" {
			return nil, errAgain
		}
		return nil, failed("Service currently unavailable due to hook")
	case http.StatusBadRequest:
		return nil, failed("Invalid payload sent to hook")
	case http.StatusUnauthorized:
		return nil, failed("Hook requires authorization token")
	}
	return nil, failed("Unexpected status code returned from hook: " + strconv.Itoa(resp.StatusCode))
}

func readAnswer(resp *http.Response) ([]byte, error) {
	given := resp.Header.Get("Content-Type")
	if given == "" {
		return nil, apierr.New(http.StatusBadRequest, codeContentType, "Invalid Content-Type: Missing Content-Type header")
	}
	media, _, err := mime.ParseMediaType(given)
	if err != nil {
		return nil, apierr.New(http.StatusBadRequest, codeContentType, "Invalid Content-Type header: "+err.Error())
	}
	if media != "application/json" {
		return nil, apierr.New(http.StatusBadRequest, codeContentType, "Invalid JSON response. Received content-type: "+given)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("hook: read answer: %w", err)
	}
	if len(answer) > maxAnswer {
		return nil, apierr.Newf(http.StatusUnprocessableEntity, codeOverSize, "Payload size exceeded size limit of %d bytes", maxAnswer)
	}
	if len(answer) == 0 {
		return nil, failed("Error unmarshaling JSON output.")
	}
	return answer, nil
}
