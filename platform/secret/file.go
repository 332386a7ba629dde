package secret

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// LoadOrCreate reads the secrets in the file at path, and adds those of names
// that it lacks, each of 32 random bytes in hex. The file is readable by its
// owner alone and replaced as a whole.
func LoadOrCreate(path string, names ...string) (map[string]String, error) {
	plain := map[string]string{}
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		if err := json.Unmarshal(text, &plain); err != nil {
			return nil, fmt.Errorf("secret: %s is damaged: %w", path, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("secret: %w", err)
	}
	missing := false
	secrets := map[string]String{}
	for _, name := range names {
		if plain[name] == "" {
			random := make([]byte, 32)
			_, _ = rand.Read(random) // never fails
			plain[name], missing = hex.EncodeToString(random), true
		}
		secrets[name] = String(plain[name])
	}
	if !missing {
		return secrets, nil
	}
	return secrets, WriteFile(path, plain)
}

// WriteFile replaces the file at path with v as JSON, readable by its owner
// alone. The folder is made where it is missing. A crash leaves the old file or the new one.
func WriteFile(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("secret: %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil { // others pass through to the database's folder
		return fmt.Errorf("secret: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // mode 0600
	if err != nil {
		return fmt.Errorf("secret: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("secret: %s: %w", path, err), os.Remove(f.Name()))
	}
	return nil
}
