package modules

import (
	"github.com/madbase/madbase/config"
	"github.com/madbase/madbase/modules/control"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/secret"
)

// projectSettings tells the control plane of config's settings of projects.
type projectSettings struct{ process *config.Config }

// Find implements control.Settings.
func (s projectSettings) Find(name string) (control.Setting, error) {
	found, err := config.ProjectSetting(name)
	return describeSetting(found), err
}

// Effective implements control.Settings.
func (s projectSettings) Effective(stored map[string]secret.String) ([]control.SettingValue, error) {
	over, err := overlay(s.process, stored)
	if err != nil {
		return nil, err
	}
	values := []control.SettingValue{}
	for _, v := range over.ProjectValues() {
		values = append(values, control.SettingValue{Setting: describeSetting(v.Setting), Value: v.Text})
	}
	return values, nil
}

func describeSetting(s config.Setting) control.Setting {
	return control.Setting{Name: s.Name, Type: s.Type, Default: s.Default, Doc: s.Doc, Secret: s.Secret}
}

// overlay is what a project is served with: the process's settings, overridden by
// those that the registry has of it.
func overlay(process *config.Config, stored map[string]secret.String) (*config.Config, error) {
	plain := make(map[string]string, len(stored))
	for name, value := range stored {
		plain[name] = value.Reveal()
	}
	return process.Overlay(plain)
}

// firstKeys are the keys that a project begins with: those of its secret. The
// registry's further ones are not in use in them, but for the default project's.
func (f *foundation) firstKeys(ref string) (*claims.Keys, error) {
	if ref == registry.DefaultRef {
		return f.keys, nil
	}
	p, found := f.registry.Snapshot().Project(ref)
	if !found {
		return nil, registry.ErrNotFound
	}
	return f.registry.Keys(p)
}
