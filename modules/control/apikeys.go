package control

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/secret"
)

// apiKeyInfo begins with the names that Supabase's management API uses.
type apiKeyInfo struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Type        string `json:"type"`
	APIKey      string `json:"api_key"`
	Description string `json:"description"`
	CreatedAt   string `json:"created_at,omitempty"`
	ExpiresAt   string `json:"expires_at,omitempty"`
	LastUsedAt  string `json:"last_used_at,omitempty"`
	RevokedAt   string `json:"revoked_at,omitempty"`
}

// configuredKey is one of the four keys that derive from a project's secret.
type configuredKey struct {
	id, name, kind, description string
	// stored is the type under which its revocation is stored.
	stored string
	text   secret.String
}

func configuredKeys(k claims.APIKeys) []configuredKey {
	return []configuredKey{
		{"anon", "anon", "legacy", "JWT of role anon", claims.KindPublishable, k.Anon},
		{"service_role", "service_role", "legacy", "JWT of role service_role: for servers only", claims.KindSecret, k.Service},
		{"publishable", "default", claims.KindPublishable, "Opaque key of role anon", claims.KindPublishable, k.Publishable},
		{"secret", "default", claims.KindSecret, "Opaque key of role service_role: for servers only", claims.KindSecret, k.Secret},
	}
}

const maxKeyBody = 16 << 10

// listAPIKeys shows secret keys whole only with ?reveal=true, as Supabase's management
// API does, and revoked ones only with ?revoked=true.
func (m *Module) listAPIKeys(c echo.Context) error {
	ctx, ref := c.Request().Context(), c.Param("ref")
	keys, err := m.allAPIKeys(ctx, ref, c.QueryParam("reveal") == "true")
	if err != nil {
		return err
	}
	if c.QueryParam("revoked") != "true" {
		keys = slices.DeleteFunc(keys, func(k apiKeyInfo) bool { return k.RevokedAt != "" })
	}
	return httpx.JSON(c, http.StatusOK, keys)
}

// allAPIKeys lists the four configured keys and those that people made.
func (m *Module) allAPIKeys(ctx context.Context, ref string, reveal bool) ([]apiKeyInfo, error) {
	s := m.deps.Registry.Snapshot()
	if _, found := s.Project(ref); !found {
		return nil, noProject()
	}
	configured, err := m.deps.Keys(ref)
	if err != nil {
		return nil, err
	}
	uses, err := m.deps.Registry.LastUses(ctx, ref)
	if err != nil {
		return nil, err
	}
	list := []apiKeyInfo{}
	byHash := map[[32]byte]int{}
	for _, k := range configuredKeys(configured.API()) {
		byHash[claims.HashKey(k.text)] = len(list)
		text := k.text.Reveal()
		if k.kind == claims.KindSecret && !reveal {
			text = maskKey(text)
		}
		list = append(list, apiKeyInfo{ID: k.id, Name: k.name, Type: k.kind, APIKey: text, Description: k.description})
	}
	for _, k := range s.Keys(ref) {
		if i, standsFor := byHash[k.Hash]; standsFor {
			list[i].RevokedAt = timestamp(k.RevokedAt)
			continue
		}
		info, err := m.describeKey(k, reveal)
		if err != nil {
			return nil, err
		}
		info.LastUsedAt = timestamp(uses[k.ID])
		list = append(list, info)
	}
	return list, nil
}

// describeKey shows a key that somebody made. What is left of a revoked one is its beginning.
func (m *Module) describeKey(k registry.APIKey, reveal bool) (apiKeyInfo, error) {
	text, err := m.deps.Registry.KeyText(k)
	if err != nil {
		return apiKeyInfo{}, err
	}
	shown := text.Reveal()
	if text == "" || k.Type == claims.KindSecret && !reveal {
		shown = maskKey(cmp.Or(shown, k.Prefix))
	}
	return apiKeyInfo{
		ID: k.ID, Name: k.Name, Type: k.Type, APIKey: shown, Description: k.Description, CreatedAt: timestamp(k.CreatedAt),
		ExpiresAt: timestamp(k.ExpiresAt), LastUsedAt: timestamp(k.LastUsedAt), RevokedAt: timestamp(k.RevokedAt),
	}, nil
}

// maskKey keeps a key's kind and first letters.
func maskKey(key string) string {
	const kept = len("sb_secret_") + 5
	return key[:min(len(key), kept)] + "···"
}

// createAPIKey makes a key; its text is in the answer.
func (m *Module) createAPIKey(c echo.Context) error {
	var body struct {
		Type, Name, Description string
		ExpiresAt               *time.Time `json:"expires_at"`
	}
	if err := readBody(c, maxKeyBody, &body); err != nil {
		return err
	}
	list := nameFaults(&body.Name, &body.Description)
	if claims.RoleOf(body.Type) == "" {
		list = append(list, "type must be publishable or secret")
	}
	k := registry.NewAPIKey{Type: body.Type, Name: body.Name, Description: body.Description}
	if body.ExpiresAt != nil {
		k.ExpiresAt = *body.ExpiresAt
		list = append(list, expiryFaults(k.ExpiresAt)...)
	}
	if len(list) > 0 {
		return faults("The key cannot be made", list...)
	}
	if _, _, err := m.registered(c); err != nil {
		return err
	}
	k.Text = claims.NewAPIKey(k.Type)
	made, err := m.deps.Registry.AddAPIKey(c.Request().Context(), m.entry(c, "api-key.create"), k)
	if err != nil {
		return keyFault(err)
	}
	info, err := m.describeKey(made, true)
	if err != nil {
		return err
	}
	return httpx.JSON(c, http.StatusCreated, info)
}

// changeAPIKey changes a key's name, description and expiry; "expires_at": null takes
// the expiry away.
func (m *Module) changeAPIKey(c echo.Context) error {
	var body struct {
		Name, Description *string
		ExpiresAt         json.RawMessage `json:"expires_at"`
	}
	if err := readBody(c, maxKeyBody, &body); err != nil {
		return err
	}
	change := registry.APIKeyChange{Name: body.Name, Description: body.Description, Endless: string(body.ExpiresAt) == "null"}
	list := nameFaults(body.Name, body.Description)
	if body.ExpiresAt != nil && !change.Endless {
		var at time.Time
		if err := json.Unmarshal(body.ExpiresAt, &at); err != nil {
			list = append(list, "expires_at must be a time as RFC 3339, or null")
		} else {
			list = append(list, expiryFaults(at)...)
		}
		change.ExpiresAt = &at
	}
	if len(list) > 0 {
		return faults("The key cannot be changed so", list...)
	}
	if isConfigured(c.Param("id")) {
		return apierr.New(http.StatusConflict, "configured_key", "This key derives from the project's secret: it can only be revoked")
	}
	if err := m.checkRoute(c); err != nil {
		return err
	}
	changed, err := m.deps.Registry.ChangeAPIKey(c.Request().Context(), m.entry(c, "api-key.change"), c.Param("id"), change)
	if err != nil {
		return keyFault(err)
	}
	info, err := m.describeKey(changed, false)
	if err != nil {
		return err
	}
	return httpx.JSON(c, http.StatusOK, info)
}

func isConfigured(id string) bool {
	return slices.ContainsFunc(configuredKeys(claims.APIKeys{}), func(k configuredKey) bool { return k.id == id })
}

// revokeAPIKey ends a key for good. One that derives from the project's secret is
// stored as revoked; it would be valid by itself.
func (m *Module) revokeAPIKey(c echo.Context) error {
	ctx, ref, id := c.Request().Context(), c.Param("ref"), c.Param("id")
	keys, err := m.allAPIKeys(ctx, ref, false)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(keys, func(k apiKeyInfo) bool { return k.ID == id })
	if i < 0 || keys[i].RevokedAt != "" {
		return keyFault(registry.ErrNoKey)
	}
	by := m.entry(c, "api-key.revoke")
	if isConfigured(id) {
		err = m.revokeConfigured(ctx, by, id)
	} else {
		err = m.deps.Registry.RevokeAPIKey(ctx, by, registry.APIKey{ID: id, Type: keys[i].Type, Name: keys[i].Name, Prefix: maskKey(keys[i].APIKey)})
	}
	if err != nil {
		return keyFault(err)
	}
	if keys, err = m.allAPIKeys(ctx, ref, false); err != nil {
		return err
	}
	return httpx.JSON(c, http.StatusOK, keys[slices.IndexFunc(keys, func(k apiKeyInfo) bool { return k.ID == id })])
}

func (m *Module) revokeConfigured(ctx context.Context, by registry.Entry, id string) error {
	configured, err := m.deps.Keys(by.Project)
	if err != nil {
		return err
	}
	for _, k := range configuredKeys(configured.API()) {
		if k.id == id {
			_, err = m.deps.Registry.AddAPIKey(ctx, by, registry.NewAPIKey{Type: k.stored, Name: id, Description: k.description, Text: k.text, Revoked: true})
		}
	}
	return err
}

func keyFault(err error) error {
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return noProject()
	case errors.Is(err, registry.ErrNoKey):
		return apierr.New(http.StatusNotFound, "no_key", "No such key, or it is revoked")
	case errors.Is(err, registry.ErrNameTaken):
		return apierr.New(http.StatusConflict, "name_taken", "The project has a key of that name")
	case errors.Is(err, registry.ErrTooMany):
		return apierr.New(http.StatusConflict, "too_many_keys", "The project has too many keys")
	}
	return err
}

const (
	maxKeyName        = 200 // letters
	maxKeyDescription = 2000
)

// nameFaults checks a key's name and description where they are given.
func nameFaults(name, description *string) (list []string) {
	if name != nil && (strings.TrimSpace(*name) == "" || !printable(*name, maxKeyName)) {
		list = append(list, fmt.Sprintf("name must be 1 to %d printable letters", maxKeyName))
	}
	if description != nil && !printable(*description, maxKeyDescription) {
		list = append(list, fmt.Sprintf("description must be at most %d printable letters", maxKeyDescription))
	}
	return list
}

func printable(text string, most int) bool {
	return utf8.ValidString(text) && utf8.RuneCountInString(text) <= most && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// expiryFaults checks that a key ends in the future that clocks can tell.
func expiryFaults(at time.Time) []string {
	if !at.After(time.Now()) || at.Year() > 9999 {
		return []string{"expires_at must be in the future"}
	}
	return nil
}

// timestamp is t as answers tell it; empty for no time.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
