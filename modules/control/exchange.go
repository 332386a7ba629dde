package control

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/secret"
)

// exportFormat names the form of an export.
const exportFormat = "madbase/settings/1"

// export is a project's own settings as one file. Secrets are never in it in the
// clear: they are sealed under the master key, so that only a madbase that has it can
// import them, or left out.
type export struct {
	Format     string            `json:"format"`
	Project    string            `json:"project"`
	ExportedAt string            `json:"exported_at"`
	Settings   map[string]string `json:"settings"`
	// Secrets are sealed texts in base64, or empty where they are left out.
	Secrets map[string]string `json:"secrets"`
}

// exportPlace is what the sealer is told of a secret in an export: no project, as an
// export may be imported into another.
func exportPlace(name string) string { return "export/" + name }

// exportSettings writes the project's own settings as one file; secrets only with ?secrets=true.
func (m *Module) exportSettings(c echo.Context) error {
	_, p, err := m.registered(c)
	if err != nil {
		return err
	}
	values, err := m.deps.Registry.Values(p)
	if err != nil {
		return err
	}
	e := export{
		Format: exportFormat, Project: p.Ref, ExportedAt: timestamp(time.Now()),
		Settings: map[string]string{}, Secrets: map[string]string{},
	}
	for name, value := range values {
		switch {
		case !p.Settings[name].Secret:
			e.Settings[name] = value.Reveal()
		case c.QueryParam("secrets") == "true":
			e.Secrets[name] = base64.StdEncoding.EncodeToString(m.deps.Registry.Sealer().Seal(exportPlace(name), value))
		default:
			e.Secrets[name] = ""
		}
	}
	c.Response().Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s-settings.json"`, p.Ref))
	return httpx.JSON(c, http.StatusOK, e)
}

// importSettings gives the project the settings of an export and no others; with
// ?merge=true it keeps those that the export does not name. Secrets that the export
// leaves out stay as they are.
func (m *Module) importSettings(c echo.Context) error {
	var e export
	if err := readBody(c, maxSettingsBody, &e); err != nil {
		return err
	}
	if e.Format != exportFormat {
		return apierr.Newf(http.StatusBadRequest, "bad_format", "The file is no export of settings: its format must be %s", exportFormat)
	}
	return m.applySettings(c, "settings.import", func(stored map[string]secret.String) (map[string]*secret.String, []string) {
		patch := map[string]*secret.String{}
		for name := range stored {
			if c.QueryParam("merge") != "true" {
				patch[name] = nil
			}
		}
		list := m.imported(e, stored, patch)
		return patch, list
	})
}

// imported puts the values of e into patch, and returns its faults.
func (m *Module) imported(e export, stored map[string]secret.String, patch map[string]*secret.String) (list []string) {
	put := func(name string, value secret.String) {
		if s, err := m.deps.Settings.Find(name); err == nil {
			delete(patch, name)
			name = s.Name
		}
		patch[name] = &value
	}
	for name, value := range e.Settings {
		put(name, secret.String(value))
	}
	for name, text := range e.Secrets {
		old, has := stored[name]
		if text == "" && has {
			put(name, old)
			continue
		}
		if text == "" {
			list = append(list, name+" is left out of the export, and the project has none: export with secrets, or set it first")
			continue
		}
		sealed, err := base64.StdEncoding.DecodeString(text)
		var value secret.String
		if err == nil {
			value, err = m.deps.Registry.Sealer().Open(exportPlace(name), sealed)
		}
		if err != nil {
			list = append(list, fmt.Sprintf("%.100s does not open: it was exported under another master key, or is damaged", name))
			continue
		}
		put(name, value)
	}
	return list
}
