package control

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/secret"
)

// Setting is one that a project can have a value of its own for.
type Setting struct {
	// Name is the variable that the process would have it from.
	Name    string `json:"name"`
	Type    string `json:"type"`
	Default string `json:"default,omitempty"`
	Doc     string `json:"doc"`
	// Secret settings are stored sealed and shown masked.
	Secret bool `json:"secret"`
}

// SettingValue is a setting with what it holds, masked where it is secret.
type SettingValue struct {
	Setting
	Value string `json:"value"`
}

// Settings knows which settings there are and what values they take.
type Settings interface {
	// Find returns the setting that has name among its names, or says why there is none.
	Find(name string) (Setting, error)
	// Effective returns what a project has whose own values are stored, by name. Its
	// error has every fault; Unwrap() []error lists them.
	Effective(stored map[string]secret.String) ([]SettingValue, error)
}

func noProject() error { return apierr.New(http.StatusNotFound, "no_project", "No such project") }

// entry is the audit log's line of a change of the project that the route names.
func (m *Module) entry(c echo.Context, action string) registry.Entry {
	return registry.Entry{
		Actor: "admin", Address: m.deps.Proxies.ClientIP(c.Request()), Project: c.Param("ref"), Action: action,
	}
}

// registered returns the registry's newest snapshot with the project that the route names.
func (m *Module) registered(c echo.Context) (*registry.Snapshot, registry.Project, error) {
	s := m.deps.Registry.Snapshot()
	p, found := s.Project(c.Param("ref"))
	if !found {
		return nil, p, noProject()
	}
	return s, p, nil
}

// checkRoute refuses routes whose project is none, or whose key can be none.
func (m *Module) checkRoute(c echo.Context) error {
	if _, _, err := m.registered(c); err != nil {
		return err
	}
	if !printable(c.Param("id"), maxKeyName) {
		return keyFault(registry.ErrNoKey)
	}
	return nil
}

// readBody reads a JSON object of at most limit bytes.
func readBody(c echo.Context, limit int64, v any) error {
	err := httpx.ReadJSON(c, limit, v)
	if errors.Is(err, httpx.ErrBadJSON) {
		return apierr.New(http.StatusBadRequest, "bad_json", "The body is not the JSON object that is expected").Because(err)
	}
	return err
}

// faults is the answer to a change that has some: all of them at once.
func faults(message string, list ...string) error {
	return apierr.New(http.StatusBadRequest, "faults", message).WithDetail(list)
}

// faultsOf are the single faults in err.
func faultsOf(err error) []string {
	var list []string
	if several, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		for _, e := range several.Unwrap() {
			list = append(list, e.Error())
		}
		return list
	}
	return []string{err.Error()}
}
