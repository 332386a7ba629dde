package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/secret"
)

const (
	maxSettingsBody = 2 << 20
	maxSettingValue = 64 << 10 // bytes
	maxSettings     = 500      // of one project; every process has them all
)

// storedSetting is a setting that the project has a value of its own for.
type storedSetting struct {
	SettingValue
	// Source is "project" where the value is its own, "process" where the process's counts.
	Source    string `json:"source"`
	UpdatedAt string `json:"updated_at,omitempty"`
}

// showSettings lists the project's own settings, or with ?all=true what counts for it,
// of every setting. Secrets are masked.
func (m *Module) showSettings(c echo.Context) error {
	_, p, err := m.registered(c)
	if err != nil {
		return err
	}
	return m.answerSettings(c, p, c.QueryParam("all") == "true")
}

func (m *Module) answerSettings(c echo.Context, p registry.Project, all bool) error {
	stored, err := m.deps.Registry.Values(p)
	if err != nil {
		return err
	}
	values, err := m.deps.Settings.Effective(stored)
	if err != nil {
		return faults("The stored settings have faults: set or unset what is named", faultsOf(err)...)
	}
	list := []storedSetting{}
	for _, v := range values {
		own, found := p.Settings[v.Name]
		switch {
		case found:
			list = append(list, storedSetting{SettingValue: v, Source: "project", UpdatedAt: timestamp(own.UpdatedAt)})
		case all:
			list = append(list, storedSetting{SettingValue: v, Source: "process"})
		}
	}
	return httpx.JSON(c, http.StatusOK, struct {
		Version  int64           `json:"version"`
		Settings []storedSetting `json:"settings"`
	}{p.Version, list})
}

// changeSettings takes a JSON merge patch (RFC 7396) of settings by name; null gives
// the project the process's value again. Nothing is stored unless all of it is right.
// With ?dry_run=true nothing is stored in any case.
func (m *Module) changeSettings(c echo.Context) error {
	var body map[string]json.RawMessage
	if err := readBody(c, maxSettingsBody, &body); err != nil {
		return err
	}
	patch, list := map[string]*secret.String{}, []string{}
	for _, name := range slices.Sorted(maps.Keys(body)) {
		value, err := settingText(body[name])
		if err != nil {
			list = append(list, fmt.Sprintf("%.100s: %s", name, err))
		}
		patch[name] = value
	}
	if len(list) > 0 {
		return faults("The settings have faults; nothing was changed", list...)
	}
	return m.applySettings(c, "settings.change", func(map[string]secret.String) (map[string]*secret.String, []string) {
		return patch, nil
	})
}

// settingText is a JSON value as a variable would have it; nil for null. A list is
// written with commas.
func settingText(raw json.RawMessage) (*secret.String, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, errors.New("must be a text, a number, true, false, a list of texts or null")
	}
	var text string
	switch v := value.(type) {
	case nil:
		return nil, nil
	case string:
		text = v
	case json.Number:
		text = v.String()
	case bool:
		text = fmt.Sprint(v)
	case []any:
		items := make([]string, 0, len(v))
		for _, item := range v {
			s, ok := item.(string)
			if !ok || strings.Contains(s, ",") {
				return nil, errors.New("must be a list of texts without commas")
			}
			items = append(items, s)
		}
		text = strings.Join(items, ",")
	default:
		return nil, errors.New("must be a text, a number, true, false, a list of texts or null")
	}
	s := secret.String(text)
	return &s, nil
}

// storable reports whether a value can be kept as text and is not too long.
func storable(value secret.String) bool {
	text := value.Reveal()
	return len(text) <= maxSettingValue && !strings.ContainsRune(text, 0) && utf8.ValidString(text)
}

// errDryRun ends a change that was only to be checked.
var errDryRun = errors.New("control: nothing is to be stored")

// applySettings stores what patchOf makes of the stored settings, when all of them are
// right together, and answers with the project's settings.
func (m *Module) applySettings(c echo.Context, action string, patchOf func(map[string]secret.String) (map[string]*secret.String, []string)) error {
	err := m.deps.Registry.ChangeSettings(c.Request().Context(), m.entry(c, action), func(stored map[string]secret.String) ([]registry.SettingChange, error) {
		patch, list := patchOf(maps.Clone(stored))
		changes, more := m.settingChanges(stored, patch)
		list = append(list, more...)
		for _, change := range changes {
			if change.Unset {
				delete(stored, change.Name)
			} else {
				stored[change.Name] = change.Value
			}
		}
		if len(stored) > maxSettings {
			list = append(list, fmt.Sprintf("a project can have at most %d settings", maxSettings))
		}
		if _, err := m.deps.Settings.Effective(stored); err != nil {
			list = append(list, faultsOf(err)...)
		}
		if len(list) > 0 {
			return nil, faults("The settings have faults; nothing was changed", list...)
		}
		if c.QueryParam("dry_run") == "true" {
			return nil, errDryRun
		}
		return changes, nil
	})
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return noProject()
	case err != nil && !errors.Is(err, errDryRun):
		return err
	}
	return m.showSettings(c)
}

// settingChanges finds the settings that patch names by any of their names. What is no
// setting can only be unset, as when an older version stored it.
func (m *Module) settingChanges(stored map[string]secret.String, patch map[string]*secret.String) (changes []registry.SettingChange, list []string) {
	for _, name := range slices.Sorted(maps.Keys(patch)) {
		value := patch[name]
		s, err := m.deps.Settings.Find(name)
		_, old := stored[name]
		switch {
		case err != nil && value == nil && old:
			changes = append(changes, registry.SettingChange{Name: name, Unset: true})
		case err != nil:
			list = append(list, err.Error())
		case slices.ContainsFunc(changes, func(c registry.SettingChange) bool { return c.Name == s.Name }):
			list = append(list, name+" is another name of "+s.Name+", which is there, too")
		case value == nil:
			changes = append(changes, registry.SettingChange{Name: s.Name, Unset: true})
		case !storable(*value):
			list = append(list, fmt.Sprintf("%s must be valid text of at most %d bytes", s.Name, maxSettingValue))
		default:
			changes = append(changes, registry.SettingChange{Name: s.Name, Value: *value, Secret: s.Secret})
		}
	}
	return changes, list
}
