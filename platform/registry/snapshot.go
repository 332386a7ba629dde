package registry

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/madbase/madbase/platform/secret"
)

// Status is where a project is in its life.
type Status string

// A project is served while it is active.
const (
	Creating  Status = "creating"
	Active    Status = "active"
	Suspended Status = "suspended"
	Deleting  Status = "deleting"
)

// Project is a row of the registry with its settings. Its secrets are sealed:
// Registry.Secrets and Registry.Values open them.
type Project struct {
	Ref, Name string
	Status    Status
	// Database is its database in the control database's cluster; empty where it has
	// one elsewhere, and for the default project.
	Database string
	// StoragePrefix comes before every blob key of the project. No two projects
	// ever have the same, not even one after the other.
	StoragePrefix        string
	CreatedAt, UpdatedAt time.Time
	// Version is the registry's when the project, a setting or a key of it changed
	// last: what was built from a Project of the same version is still right.
	Version int64
	// Settings are those that differ from the process's, by their names.
	Settings map[string]Setting

	databaseURL, jwtSecret, loginSecret []byte // sealed
}

// External reports whether the project's database is in a cluster of its own.
func (p Project) External() bool { return len(p.databaseURL) > 0 }

// Setting is a project's own value of a setting.
type Setting struct {
	// Value is empty for a secret one.
	Value     string
	Secret    bool
	UpdatedAt time.Time

	sealed []byte
}

// Secrets are what only madbase's processes know of a project.
type Secrets struct {
	// DatabaseURL is the owner's connection string of a database elsewhere; empty
	// for one in the control database's cluster.
	DatabaseURL secret.String
	JWTSecret   secret.String
	// LoginSecret is what the passwords of the project's login roles derive from.
	LoginSecret secret.String
}

// APIKey is a key that people made.
type APIKey struct {
	ID, Project, Type, Name string
	Description, Prefix     string
	Hash                    [sha256.Size]byte
	CreatedAt               time.Time
	// ExpiresAt, RevokedAt and LastUsedAt are zero when there is no such time.
	ExpiresAt, RevokedAt, LastUsedAt time.Time

	sealed []byte
}

// Valid reports whether the key opens anything at the time now.
func (k APIKey) Valid(now time.Time) bool {
	return k.RevokedAt.IsZero() && (k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt))
}

// Snapshot is the registry at one moment. Nobody may change it.
type Snapshot struct {
	// Version grows with every change.
	Version int64

	loaded   bool
	projects []Project // by ref
	byRef    map[string]int
	keys     []APIKey
	signing  []SigningKey
	byHash   map[[sha256.Size]byte]int
	// derived are the projects of the keys that derive from their secrets.
	derived map[[sha256.Size]byte]string
}

// Projects returns all projects, ordered by ref, the default one among them.
func (s *Snapshot) Projects() []Project { return s.projects }

// Project returns the project named ref.
func (s *Snapshot) Project(ref string) (Project, bool) {
	i, ok := s.byRef[ref]
	if !ok {
		return Project{}, false
	}
	return s.projects[i], true
}

// Keys returns the keys that people made for the project ref, the oldest first,
// revoked and expired ones too.
func (s *Snapshot) Keys(ref string) []APIKey {
	var keys []APIKey
	for _, k := range s.keys {
		if k.Project == ref {
			keys = append(keys, k)
		}
	}
	return keys
}

// Key returns the API key of the given text. Valid says whether it is to be taken.
func (s *Snapshot) Key(text string) (APIKey, bool) {
	i, ok := s.byHash[sha256.Sum256([]byte(text))]
	if !ok {
		return APIKey{}, false
	}
	return s.keys[i], true
}

// ProjectOfKey returns the ref of the project that an opaque API key belongs to, or
// belonged to until it was revoked. The default project's derived keys are not known here.
func (s *Snapshot) ProjectOfKey(text string) (ref string, found bool) {
	hash := sha256.Sum256([]byte(text))
	if i, ok := s.byHash[hash]; ok {
		return s.keys[i].Project, true
	}
	ref, found = s.derived[hash]
	return ref, found
}

// KeyHashes returns the hashes of the opaque keys by their projects, and those of all
// keys that are revoked. The default project's derived keys are not known here.
func (s *Snapshot) KeyHashes() (valid map[string][][]byte, revoked [][]byte) {
	valid = map[string][][]byte{}
	for _, k := range s.keys {
		if k.RevokedAt.IsZero() {
			valid[k.Project] = append(valid[k.Project], k.Hash[:])
		} else {
			revoked = append(revoked, k.Hash[:])
		}
	}
	for hash, ref := range s.derived {
		if _, made := s.byHash[hash]; !made { // else it has been revoked
			valid[ref] = append(valid[ref], hash[:])
		}
	}
	for _, hashes := range valid {
		slices.SortFunc(hashes, bytes.Compare)
	}
	return valid, revoked
}

// Secrets opens the secrets of p. The default project has none here.
func (r *Registry) Secrets(p Project) (Secrets, error) {
	var s Secrets
	for name, field := range map[string]struct {
		sealed []byte
		into   *secret.String
	}{
		"database_url": {p.databaseURL, &s.DatabaseURL},
		"jwt_secret":   {p.jwtSecret, &s.JWTSecret},
		"login_secret": {p.loginSecret, &s.LoginSecret},
	} {
		if len(field.sealed) == 0 {
			continue
		}
		text, err := r.options.Sealer.Open(projectPlace(p.Ref, name), field.sealed)
		if err != nil {
			return Secrets{}, err
		}
		*field.into = text
	}
	return s, nil
}

// Values opens the settings of p.
func (r *Registry) Values(p Project) (map[string]secret.String, error) {
	values := make(map[string]secret.String, len(p.Settings))
	for name, s := range p.Settings {
		values[name] = secret.String(s.Value)
		if !s.Secret {
			continue
		}
		text, err := r.options.Sealer.Open(SettingPlace(p.Ref, name), s.sealed)
		if err != nil {
			return nil, err
		}
		values[name] = text
	}
	return values, nil
}

// KeyText opens the key k; empty when only its hash is kept.
func (r *Registry) KeyText(k APIKey) (secret.String, error) {
	if len(k.sealed) == 0 {
		return "", nil
	}
	return r.options.Sealer.Open(KeyPlace(k.Project, k.ID), k.sealed)
}

func projectPlace(ref, column string) string { return fmt.Sprintf("projects/%s/%s", ref, column) }

// SettingPlace is what the Sealer is told of the value of a setting.
func SettingPlace(ref, name string) string { return fmt.Sprintf("settings/%s/%s", ref, name) }

// KeyPlace is what the Sealer is told of the text of an API key.
func KeyPlace(ref, id string) string { return fmt.Sprintf("api_keys/%s/%s", ref, id) }
