package httpx

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"syscall"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
)

// ErrSlowBody is the reason of a request whose body came too slowly or not at all.
var ErrSlowBody = errors.New("httpx: request body is too slow")

// statusClientGone is nginx's status for a client that went away before the answer.
const statusClientGone = 499

// writeError is the only place that writes an error: in the dialect of the
// surface that the request's path belongs to. The cause is logged with the
// request id and never written.
func (s *Server) writeError(err error, c echo.Context) {
	r := c.Request()
	e := publicError(r, err)
	if c.Response().Committed {
		if clientGone(r, err) || brokenPipe(err) { // what broke is the way to the client
			e.Status = statusClientGone
		}
		s.logError(c, e)
		return
	}
	s.logError(c, e)
	header := c.Response().Header()
	for name, values := range e.Header {
		header[name] = values
	}
	status, body := s.shapeOf(r.URL.Path)(r, e, header)
	if r.Method == http.MethodHead || body == nil {
		_ = c.NoContent(status) // the client is the only one to tell
		return
	}
	if text, ok := body.(string); ok {
		_ = c.String(status, text)
		return
	}
	_ = writeJSON(c, status, body)
}

// publicError turns whatever a handler or Echo returned into an apierr.Error.
func publicError(r *http.Request, err error) *apierr.Error {
	if errors.Is(err, ErrSlowBody) { // whatever a handler made of it
		e := apierr.New(http.StatusRequestTimeout, "request_timeout", "The request body took too long to arrive").Because(err)
		if r.ProtoMajor == 1 { // in HTTP/2 it would end the other streams, too
			e = e.WithHeader("Connection", "close")
		}
		return e
	}
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return apierr.Newf(http.StatusRequestEntityTooLarge, "request_entity_too_large", "Request body exceeds %d bytes", e.Limit).Because(err)
	}
	if e, ok := errors.AsType[*echo.HTTPError](err); ok {
		return apierr.New(e.Code, "", http.StatusText(e.Code)).Because(err)
	}
	if clientGone(r, err) {
		return apierr.New(statusClientGone, "request_canceled", "Client closed the request").Because(err)
	}
	return apierr.Internal(err)
}

func clientGone(r *http.Request, err error) bool {
	return errors.Is(err, context.Canceled) && r.Context().Err() != nil
}

func brokenPipe(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

func (s *Server) logError(c echo.Context, e *apierr.Error) {
	level := slog.LevelDebug
	if e.Status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	ctx := c.Request().Context()
	s.deps.Log.Log(ctx, level, "request failed", "request_id", RequestID(ctx),
		"method", c.Request().Method, "path", c.Request().URL.Path, "status", e.Status, "error", e.Error())
}
