package rest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/jsonpath"
	"github.com/madbase/madbase/modules/rest/openapi"
	"github.com/madbase/madbase/modules/rest/plan"
	"github.com/madbase/madbase/modules/rest/request"
	"github.com/madbase/madbase/modules/rest/schema"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/rls"
	"github.com/madbase/madbase/platform/secret"
)

// surface is a project's settings as requests need them: those of the process,
// overridden by those of its database. It is immutable; a reload makes another.
type surface struct {
	Config
	request     request.Rules
	plan        plan.Rules
	extraPath   string
	preRequest  schema.Name
	appSettings []string
	server      openapi.Server
	dropIn      bool
	// anonClaims are the claims of callers without a token.
	anonClaims string
	// roles are the settings of the roles that the login role may become.
	roles map[string]schema.RoleSettings
	// keys verify tokens in place of PostgREST; nil without a secret.
	keys *claims.Keys
	// rolePath finds the role in a token's claims; nil for the claim "role".
	rolePath *jsonpath.Path
}

// newSurface compiles cfg, which must be valid. dropIn says that it stands in
// place of PostgREST, with keys of its own.
func newSurface(cfg Config, roles map[string]schema.RoleSettings, dropIn bool) (*surface, error) {
	s := &surface{Config: cfg, dropIn: dropIn, roles: roles, preRequest: qualified(cfg.PreRequest), anonClaims: withRole("{}", cfg.AnonRole)}
	s.request = request.Rules{
		Schemas: cfg.Schemas, TxAllowed: cfg.txAllowed(),
		Root: qualified(cfg.RootSpec).Name, Describes: cfg.OpenAPIMode != openAPIDisabled,
	}
	s.plan = plan.Rules{MaxRows: cfg.MaxRows, Aggregates: cfg.Aggregates, Explain: cfg.Explain, AliasesOnly: !cfg.LegacyTargetNames, Plain: cfg.PreRequest != ""}
	var extra strings.Builder
	for _, s := range cfg.ExtraSearchPath {
		extra.WriteString(", " + quoteName(s))
	}
	s.extraPath = extra.String()
	for _, name := range slices.Sorted(maps.Keys(cfg.AppSettings)) {
		s.appSettings = append(s.appSettings, "app.settings."+name, cfg.AppSettings[name])
	}
	var err error
	if s.server, err = openapi.ParseServer(cfg.OpenAPIProxy); err != nil {
		return nil, fmt.Errorf("rest: PGRST_OPENAPI_SERVER_PROXY_URI: %w", err)
	}
	if cfg.JWT.RoleClaimKey != "" && cfg.JWT.RoleClaimKey != "$.role" && cfg.JWT.RoleClaimKey != ".role" {
		if s.rolePath, err = jsonpath.Parse(cfg.JWT.RoleClaimKey); err != nil {
			return nil, fmt.Errorf("rest: PGRST_JWT_ROLE_CLAIM_KEY: %w", err)
		}
	}
	if dropIn && cfg.JWT.Secret != "" {
		s.keys, err = cfg.JWT.keys()
	}
	return s, err
}

// keys reads the secret, which may be in a file and in base64.
func (c JWTConfig) keys() (*claims.Keys, error) {
	text := c.Secret.Reveal()
	if path, isFile := strings.CutPrefix(text, "@"); isFile {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("rest: PGRST_JWT_SECRET: %w", err)
		}
		text = strings.TrimSuffix(string(content), "\n")
	}
	if c.IsBase64 { // of either alphabet, padded or not
		text = strings.NewReplacer("_", "/", "-", "+", ".", "=").Replace(strings.TrimSpace(text))
		decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
		if err != nil {
			return nil, errors.New("rest: PGRST_JWT_SECRET is not in base64")
		}
		text = string(decoded)
	}
	keys, err := claims.NewVerifier(secret.String(text), c.CacheEntries)
	if err != nil {
		return nil, fmt.Errorf("rest: PGRST_JWT_SECRET: %w", err)
	}
	return keys, nil
}

// qualified reads schema.name, or a bare name.
func qualified(text string) schema.Name {
	if s, name, found := strings.Cut(text, "."); found {
		return schema.Name{Schema: s, Name: name}
	}
	return schema.Name{Name: text}
}

// txSettings completes what p's transaction runs as.
func (s *surface) txSettings(t *rls.Settings, p *plan.Plan, path string) {
	s.requestSettings(t, p.Request, path)
	t.ReadOnly = p.ReadOnly()
	if p.Routine != nil {
		s.hoist(t, p.Routine)
	}
}

// requestSettings are those that every request's transaction has.
func (s *surface) requestSettings(t *rls.Settings, req *ast.Request, path string) {
	t.Path = path
	t.SearchPath = quoteName(req.Schema) + s.extraPath
	role := s.roles[t.Role]
	t.Isolation, t.Before = role.Isolation, role.Settings
	if req.Prefer.Timezone != "" {
		t.More = append(t.More, "timezone", req.Prefer.Timezone)
	}
	t.More = append(t.More, s.appSettings...)
}

// hoist makes those settings of a function that are to hold from the start of its
// transaction do so; they would otherwise come too late.
func (s *surface) hoist(t *rls.Settings, r *schema.Routine) {
	for _, setting := range r.Settings {
		name, value, _ := strings.Cut(setting, "=")
		switch {
		case !slices.Contains(s.Hoisted, name):
		case name == schema.IsolationSetting:
			t.Isolation = strings.ToLower(value)
		default:
			t.More = append(t.More, name, value)
		}
	}
}

// rollsBackPlan reports whether p's transaction is to keep nothing.
func (s *surface) rollsBackPlan(p *plan.Plan) bool {
	return p.Prefer.Tx == ast.TxRollback || s.rollsBack() && p.Prefer.Tx != ast.TxCommit
}
