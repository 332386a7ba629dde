package auth

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// CORSConfig is about pages that call auth with no gateway in front, which has
// rules of its own.
type CORSConfig struct {
	AllowedHeaders []string `env:"GOTRUE_CORS_ALLOWED_HEADERS" doc:"Further request headers that pages of other origins may send." group:"optional"`
}

// What pages of other origins may send and read (GoTrue's lists).
const corsExposed = "X-Total-Count, Link, X-Supabase-Api-Version"

func corsMethods() []string { return []string{"GET", "POST", "PUT", "PATCH", "DELETE"} }

func corsHeaders() []string {
	return []string{"accept", "authorization", "content-type", "x-client-ip", "x-client-info", "x-jwt-aud", "x-use-cookie", "x-supabase-api-version"}
}

// CORS lets pages of any origin call (Fetch, section 3.2): tokens come in a header,
// which no browser sends by itself. It is for a server that has no gateway in
// front, whose every answer, also one to an unknown path, goes through it.
func (m *Module) CORS(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r, h := c.Request(), c.Response().Header()
		h.Add(echo.HeaderVary, echo.HeaderOrigin)
		isPage := r.Header.Get(echo.HeaderOrigin) != ""
		if r.Method == http.MethodOptions && r.Header.Get(echo.HeaderAccessControlRequestMethod) != "" {
			h.Add(echo.HeaderVary, echo.HeaderAccessControlRequestMethod)
			h.Add(echo.HeaderVary, echo.HeaderAccessControlRequestHeaders)
			if isPage {
				m.preflight(r, h)
			}
			return c.NoContent(http.StatusNoContent)
		}
		if isPage {
			h.Set(echo.HeaderAccessControlAllowOrigin, "*")
			h.Set(echo.HeaderAccessControlAllowCredentials, "true")
			h.Set(echo.HeaderAccessControlExposeHeaders, corsExposed)
		}
		return next(c)
	}
}

// preflight says whether a page may send the request that its browser asks about.
func (m *Module) preflight(r *http.Request, h http.Header) {
	method, asked := r.Header.Get(echo.HeaderAccessControlRequestMethod), r.Header.Get(echo.HeaderAccessControlRequestHeaders)
	if !slices.Contains(corsMethods(), method) || !m.takesHeaders(asked) {
		return
	}
	h.Set(echo.HeaderAccessControlAllowOrigin, "*")
	h.Set(echo.HeaderAccessControlAllowCredentials, "true")
	h.Set(echo.HeaderAccessControlAllowMethods, method)
	if asked != "" {
		h.Set(echo.HeaderAccessControlAllowHeaders, asked)
	}
}

func (m *Module) takesHeaders(asked string) bool {
	for name := range strings.SplitSeq(asked, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		further := func(allowed string) bool { return strings.EqualFold(strings.TrimSpace(allowed), name) }
		if name != "" && !slices.Contains(corsHeaders(), name) && !slices.ContainsFunc(m.cfg.CORS.AllowedHeaders, further) {
			return false
		}
	}
	return true
}
