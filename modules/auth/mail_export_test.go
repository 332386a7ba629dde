package auth

import (
	"context"
	"net/http/httptest"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/platform/project"
)

// SendMail is sendMail in a request of its own, whose transaction ends as fn says.
func (m *Module) SendMail(ctx context.Context, p *project.Project, msg mail.Message, fn func(pgx.Tx) error) error {
	r := httptest.NewRequestWithContext(project.NewContext(ctx, p), "POST", "/recover", nil)
	c := echo.New().NewContext(r, httptest.NewRecorder())
	return m.Around(func(c echo.Context) error {
		ctx := c.Request().Context()
		return m.transact(ctx, func(tx pgx.Tx) error {
			if err := m.sendMail(ctx, tx, msg); err != nil || fn == nil {
				return err
			}
			return fn(tx)
		})
	})(c)
}
