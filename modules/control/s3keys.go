package control

import (
	"context"
	"errors"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/secret"
)

// S3Keys makes and revokes access keys of storage's S3 protocol for the project ref,
// one of the registry's.
type S3Keys interface {
	// Create makes a key that acts as the claims tell; nil claims are those of
	// service_role. The error is ErrTooManyS3Keys where a project has its fill.
	Create(ctx context.Context, ref, description string, claims map[string]any) (S3Key, error)
	// List lists them without their secrets.
	List(ctx context.Context, ref string) ([]S3Key, error)
	// Revoke ends a key within two seconds; one that is not there has ended.
	Revoke(ctx context.Context, ref, id string) error
}

// S3Key is an access key of the S3 protocol.
type S3Key struct {
	ID, Description, AccessKey string
	// SecretKey is known when the key is made, and never again.
	SecretKey secret.String
	CreatedAt time.Time
}

// ErrTooManyS3Keys means that a project has as many keys as it may.
var ErrTooManyS3Keys = errors.New("control: too many S3 access keys")

// maxS3KeyBody bounds the request that makes a key: a description and claims.
const maxS3KeyBody = 16 << 10

// createS3Key has the names and statuses of Supabase Storage's own admin API.
func (m *Module) createS3Key(c echo.Context) error {
	_, p, err := m.registered(c)
	if err != nil {
		return err
	}
	var body struct {
		Description string         `json:"description"`
		Claims      map[string]any `json:"claims"`
	}
	if err := readBody(c, maxS3KeyBody, &body); err != nil {
		return err
	}
	if n := utf8.RuneCountInString(body.Description); n < 3 || n > 2000 {
		return apierr.New(http.StatusBadRequest, "bad_description", "description must have from 3 to 2000 characters")
	}
	if role, ok := body.Claims["role"].(string); body.Claims != nil && (!ok || role == "") {
		return apierr.New(http.StatusBadRequest, "bad_claims", "claims must have a role")
	}
	entry := m.entry(c, "s3_key.create")
	entry.Detail = map[string]any{"description": body.Description}
	if err := m.deps.Registry.Record(c.Request().Context(), entry); err != nil {
		return err
	}
	key, err := m.deps.S3Keys.Create(c.Request().Context(), p.Ref, body.Description, body.Claims)
	if errors.Is(err, ErrTooManyS3Keys) {
		return apierr.New(http.StatusBadRequest, "MaximumCredentialsLimit", "You have reached the maximum number of credentials allowed")
	}
	if err != nil {
		return err
	}
	return httpx.JSON(c, http.StatusCreated, struct {
		ID          string `json:"id"`
		AccessKey   string `json:"access_key"`
		SecretKey   string `json:"secret_key"`
		Description string `json:"description"`
	}{key.ID, key.AccessKey, key.SecretKey.Reveal(), key.Description})
}

func (m *Module) listS3Keys(c echo.Context) error {
	_, p, err := m.registered(c)
	if err != nil {
		return err
	}
	keys, err := m.deps.S3Keys.List(c.Request().Context(), p.Ref)
	if err != nil {
		return err
	}
	type row struct {
		ID          string `json:"id"`
		Description string `json:"description"`
		AccessKey   string `json:"access_key"`
		CreatedAt   string `json:"created_at"`
	}
	list := make([]row, len(keys))
	for i, key := range keys {
		list[i] = row{key.ID, key.Description, key.AccessKey, key.CreatedAt.UTC().Format("2006-01-02T15:04:05.000Z")}
	}
	return httpx.JSON(c, http.StatusOK, list)
}

// revokeS3Key takes the id from the path or, as Supabase Storage does, the body.
func (m *Module) revokeS3Key(c echo.Context) error {
	_, p, err := m.registered(c)
	if err != nil {
		return err
	}
	body := struct {
		ID string `json:"id"`
	}{c.Param("id")}
	if body.ID == "" {
		if err := readBody(c, maxS3KeyBody, &body); err != nil {
			return err
		}
	}
	id, err := uuid.Parse(body.ID)
	if err != nil {
		return apierr.New(http.StatusBadRequest, "bad_id", "id not uuid").Because(err)
	}
	entry := m.entry(c, "s3_key.revoke")
	entry.Detail = map[string]any{"id": id}
	if err := m.deps.Registry.Record(c.Request().Context(), entry); err != nil {
		return err
	}
	if err := m.deps.S3Keys.Revoke(c.Request().Context(), p.Ref, id.String()); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
