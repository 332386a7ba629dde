package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/secret"
)

// SettingChange is a new value of one setting, or its end.
type SettingChange struct {
	Name  string
	Value secret.String
	// Secret has the value sealed.
	Secret bool
	// Unset gives the project the process's value again.
	Unset bool
}

// settingDetail is what the audit log tells of a change of settings: of secrets no
// more than that they were set.
type settingDetail struct {
	Set   map[string]settingStep `json:"set,omitempty"`
	Unset []string               `json:"unset,omitempty"`
}

type settingStep struct {
	From *string `json:"from,omitempty"`
	To   string  `json:"to"`
}

// hidden stands in the audit log for a secret.
const hidden = "[redacted]"

// ChangeSettings changes settings of the project of by. plan is given what is stored,
// and says what to change or why not; until the change is done no other one of the
// same project comes between. plan may be called again, and its errors come back as
// they are. ErrNotFound means that there is no such project.
func (r *Registry) ChangeSettings(ctx context.Context, by Entry, plan func(stored map[string]secret.String) ([]SettingChange, error)) error {
	detail := &settingDetail{}
	by.Detail = detail
	return r.Change(ctx, by, func(ctx context.Context, tx pgx.Tx) error {
		if err := lockProject(ctx, tx, by.Project); err != nil {
			return err
		}
		stored, sealed, err := r.storedSettings(ctx, tx, by.Project)
		if err != nil {
			return err
		}
		changes, err := plan(maps.Clone(stored))
		if err != nil {
			return err
		}
		*detail = settingDetail{Set: map[string]settingStep{}}
		for _, c := range changes {
			old, had := stored[c.Name]
			switch {
			case c.Unset && had:
				detail.Unset = append(detail.Unset, c.Name)
			case c.Unset || had && old == c.Value && sealed[c.Name] == c.Secret:
				continue
			default:
				detail.Set[c.Name] = step(c, old, had && !sealed[c.Name])
			}
			if err := r.writeSetting(ctx, tx, by.Project, c); err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
		}
		slices.Sort(detail.Unset)
		return nil
	})
}

func step(c SettingChange, old secret.String, showOld bool) settingStep {
	if c.Secret {
		return settingStep{To: hidden}
	}
	s := settingStep{To: c.Value.Reveal()}
	if showOld {
		from := old.Reveal()
		s.From = &from
	}
	return s
}

// lockProject keeps other changes of the project's parts away until the transaction ends.
func lockProject(ctx context.Context, q db.Queryer, ref string) error {
	var found string
	err := q.QueryRow(ctx, `SELECT ref FROM madbase.projects WHERE ref = $1 FOR UPDATE`, ref).Scan(&found)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// storedSettings reads and opens the settings of ref, and says which are sealed.
func (r *Registry) storedSettings(ctx context.Context, q db.Queryer, ref string) (map[string]secret.String, map[string]bool, error) {
	rows, err := q.Query(ctx, `SELECT name, coalesce(value, ''), value_sealed FROM madbase.project_settings WHERE project = $1`, ref)
	if err != nil {
		return nil, nil, err
	}
	values, secrets := map[string]secret.String{}, map[string]bool{}
	var name, value string
	var sealed []byte
	_, err = pgx.ForEachRow(rows, []any{&name, &value, &sealed}, func() error {
		values[name] = secret.String(value)
		if sealed == nil {
			return nil
		}
		var err error
		values[name], err = r.options.Sealer.Open(SettingPlace(ref, name), sealed)
		secrets[name] = true
		return err
	})
	return values, secrets, err
}

func (r *Registry) writeSetting(ctx context.Context, q db.Queryer, ref string, c SettingChange) error {
	if c.Unset {
		_, err := q.Exec(ctx, `DELETE FROM madbase.project_settings WHERE project = $1 AND name = $2`, ref, c.Name)
		return err
	}
	var value *string
	var sealed []byte
	if c.Secret {
		sealed = r.options.Sealer.Seal(SettingPlace(ref, c.Name), c.Value)
	} else {
		text := c.Value.Reveal()
		value = &text
	}
	_, err := q.Exec(ctx, `
		INSERT INTO madbase.project_settings (project, name, value, value_sealed) VALUES ($1, $2, $3, $4)
		ON CONFLICT (project, name) DO UPDATE SET value = EXCLUDED.value, value_sealed = EXCLUDED.value_sealed, updated_at = now()`,
		ref, c.Name, value, sealed)
	return err
}
