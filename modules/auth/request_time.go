package auth

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
)

// withinTime bounds how long a request may take.
func (m *Module) withinTime(next echo.HandlerFunc) echo.HandlerFunc {
	if m.cfg.MaxRequestDuration == 0 {
		return next
	}
	return func(c echo.Context) error {
		r := c.Request()
		ctx, cancel := context.WithTimeout(r.Context(), m.cfg.MaxRequestDuration)
		defer cancel()
		c.SetRequest(r.WithContext(ctx))
		err := next(c)
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && r.Context().Err() == nil {
			return apierr.New(http.StatusGatewayTimeout, codeRequestTimeout, "Processing this request timed out, please retry after a moment.").Because(err)
		}
		return err
	}
}
