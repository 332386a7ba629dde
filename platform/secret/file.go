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

// Random returns a new secret of 32 random bytes in hex.
func Random() String {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	return String(hex.EncodeToString(random))
}

// LoadOrCreate reads the secrets in the file at path, and adds those of names
// that it lacks, each a Random one. The file is readable by its owner alone and
// replaced as a whole. Of several processes that create it at once, one does and
// the others read what that one wrote.
func LoadOrCreate(path string, names ...string) (map[string]String, error) {
	secrets, err := loadOrCreate(path, names)
	if errors.Is(err, fs.ErrExist) { // another process has just made it
		secrets, err = loadOrCreate(path, names)
	}
	return secrets, err
}

func loadOrCreate(path string, names []string) (map[string]String, error) {
	plain := map[string]string{}
	text, err := os.ReadFile(path)
	place := os.Rename
	switch {
	case errors.Is(err, fs.ErrNotExist):
		place = os.Link // unlike a rename, it replaces nothing
	case err != nil:
		return nil, fmt.Errorf("secret: %w", err)
	default:
		if err := json.Unmarshal(text, &plain); err != nil {
			return nil, fmt.Errorf("secret: %s is damaged: %w", path, err)
		}
	}
	missing := false
	secrets := map[string]String{}
	for _, name := range names {
		if plain[name] == "" {
			plain[name], missing = Random().Reveal(), true
		}
		secrets[name] = String(plain[name])
	}
	if !missing {
		return secrets, nil
	}
	return secrets, write(path, plain, place)
}

// WriteFile replaces the file at path with v as JSON, readable by its owner
// alone. The folder is made where it is missing. A crash leaves the old file or the new one.
func WriteFile(path string, v any) error { return write(path, v, os.Rename) }

// write fills a file beside path and puts it there by place.
func write(path string, v any, place func(from, to string) error) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("secret: %s: %w", path, err)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o711); err != nil { // others pass through to the database's folder
		return fmt.Errorf("secret: %w", err)
	}
	f, err := os.CreateTemp(dir, ".secret-*") // mode 0600
	if err != nil {
		return fmt.Errorf("secret: %w", err)
	}
	defer os.Remove(f.Name()) // gone already after a rename
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = place(f.Name(), path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("secret: %s: %w", path, err)
	}
	return nil
}

// syncDir makes a new name in dir outlive a power failure.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
