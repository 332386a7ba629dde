package auth

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
)

// ownSession is one of the user's sessions, as the user sees it. GoTrue has no such list.
type ownSession struct {
	ID          string     `json:"id"`
	CreatedAt   time.Time  `json:"created_at"`
	RefreshedAt time.Time  `json:"refreshed_at"`
	NotAfter    *time.Time `json:"not_after,omitempty"`
	AAL         string     `json:"aal"`
	UserAgent   string     `json:"user_agent"`
	IP          string     `json:"ip"`
	ClientID    string     `json:"oauth_client_id,omitempty"`
	Current     bool       `json:"current"`
}

// sessionList answers GET /user/sessions: those that can still be refreshed, the
// one used last first.
func (m *Module) sessionList(c echo.Context, who signedIn) error {
	rows, err := store.UserSessions(c.Request().Context(), projectOf(c).DB.Auth, who.user.ID, maxRivals)
	if err != nil {
		return databaseError("Database error finding sessions", fmt.Errorf("auth: list sessions: %w", err))
	}
	sessions := []ownSession{}
	for _, s := range rows {
		if m.expired(who.user, &s.Session) != "" {
			continue
		}
		sessions = append(sessions, ownSession{
			ID: s.ID, CreatedAt: s.CreatedAt.UTC(), RefreshedAt: s.RefreshedAt.UTC(), NotAfter: s.NotAfter, AAL: s.AAL,
			UserAgent: s.UserAgent, IP: s.IP, ClientID: s.OAuthClientID, Current: s.ID == who.session.ID,
		})
	}
	return httpx.JSON(c, http.StatusOK, map[string]any{"sessions": sessions})
}

// sessionEnd answers DELETE /user/sessions/{session_id}: it signs the user out there.
func (m *Module) sessionEnd(c echo.Context, who signedIn) error {
	id, err := uuid.Parse(c.Param("session_id"))
	if err != nil {
		return apierr.New(http.StatusNotFound, codeValidation, "session_id must be an UUID")
	}
	ctx := c.Request().Context()
	err = pgx.BeginFunc(ctx, projectOf(c).DB.Auth, func(tx pgx.Tx) error {
		if err := store.DeleteOwnSession(ctx, tx, who.user.ID, id.String()); err != nil {
			return err
		}
		return m.audit(ctx, tx, who.user, actionLogout, nil)
	})
	if errors.Is(err, store.ErrNotFound) {
		return apierr.New(http.StatusNotFound, codeSessionNotFound, "Session not found")
	}
	if err != nil {
		return databaseError("Error logging out user", err)
	}
	return c.NoContent(http.StatusNoContent)
}
