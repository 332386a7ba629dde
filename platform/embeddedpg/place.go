package embeddedpg

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// place is where the cluster lives on disk and who owns it.
//
//	STATE/madbase.lock  held while a madbase uses the folder
//	STATE/password      of the owner role, 0600
//	STATE/pgdata        the data folder, 0700, of postgres' user
//	STATE/run           the socket folder (elsewhere when the path would be too long for a socket)
//	STATE/dist          downloaded binaries
//	STATE/postgres.log  what postgres wrote, two files of bounded size
type place struct {
	state string
	owner owner
}

func (p place) pgdata() string   { return filepath.Join(p.state, "pgdata") }
func (p place) side() string     { return filepath.Join(p.state, "pgdata.init") }
func (p place) password() string { return filepath.Join(p.state, "password") }

// locationFile, in the data folder, names the state folder when that is elsewhere.
const locationFile = "postgres.location"

// locate finds the state folder of the data folder, choosing another one where postgres' user could not reach it, and creates it.
// Paths are absolute and free of links: postgres changes its directory, and left-over processes are known by it.
func (c *Cluster) locate() (place, error) {
	data, err := makeDataDir(c.dataDir)
	if err != nil {
		return place{}, err
	}
	p := place{state: filepath.Join(data, "postgres")}
	record := filepath.Join(data, locationFile)
	moved, err := os.ReadFile(record)
	switch {
	case err == nil:
		p.state = strings.TrimSpace(string(moved))
		if _, err := os.Stat(p.pgdata()); err != nil {
			return place{}, fmt.Errorf("embeddedpg: the database of %s was kept in %s and is not there any more; remove %s to begin with an empty one: %w", data, p.state, record, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return place{}, fmt.Errorf("embeddedpg: read location: %w", err)
	}
	if p.owner, err = chooseOwner(c.cfg.User, p.pgdata()); err != nil {
		return place{}, err
	}
	if blocked := p.owner.blockedAt(data, p.state); blocked != "" {
		if p, err = c.fallBack(p, data, blocked); err != nil {
			return place{}, err
		}
	}
	if err := os.MkdirAll(p.state, p.owner.dirMode()); err != nil {
		return place{}, fmt.Errorf("embeddedpg: state folder: %w", err)
	}
	// The mode given to MkdirAll is cut by the umask, and the folder may be older than this rule.
	if err := p.owner.openUp(p.state, filepath.Dir(p.state)); err != nil {
		return place{}, fmt.Errorf("embeddedpg: state folder: %w", err)
	}
	return p, nil
}

// makeDataDir creates the data folder and returns its real path.
func makeDataDir(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("embeddedpg: data folder: %w", err)
	}
	if err := os.MkdirAll(abs, 0o711); err != nil {
		return "", fmt.Errorf("embeddedpg: data folder: %w", err)
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return "", fmt.Errorf("embeddedpg: data folder: %w", err)
	}
	return abs, nil
}

// fallBack picks a state folder outside the data folder, because postgres' user cannot pass the folder blocked. The choice is recorded
// once the cluster is initialised there (see initialise), so that later starts find it whoever runs them.
func (c *Cluster) fallBack(p place, data, blocked string) (place, error) {
	if _, err := os.Stat(p.pgdata()); err == nil {
		return place{}, fmt.Errorf("embeddedpg: user %s cannot enter %s and so not open its database in %s: allow it (chmod o+x), or move the data folder", p.owner.name, blocked, p.pgdata())
	}
	sum := sha256.Sum256([]byte(data))
	other := place{state: filepath.Join(c.fallbackBase, hex.EncodeToString(sum[:8])), owner: p.owner}
	if still := p.owner.blockedAt(c.fallbackBase, other.state); still != "" {
		return place{}, fmt.Errorf("embeddedpg: user %s can enter neither %s nor %s: set MADBASE_DATA_DIR to a folder it can reach", p.owner.name, blocked, still)
	}
	c.log.Warn("the database is kept outside the data folder, because postgres' user cannot enter it",
		"user", p.owner.name, "blocked_at", blocked, "data_dir", data, "database_dir", other.state)
	return other, nil
}

// recordPlace notes a state folder that is not below the data folder.
func (c *Cluster) recordPlace() error {
	data, err := makeDataDir(c.dataDir)
	if err != nil || filepath.Dir(c.place.state) == data {
		return err
	}
	if err := writeDurably(filepath.Join(data, locationFile), []byte(c.place.state+"\n"), 0o644); err != nil {
		return fmt.Errorf("embeddedpg: record location: %w", err)
	}
	return nil
}

// writeDurably replaces a file so that after a power cut either the old or the new content is there.
func writeDurably(path string, content []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes renames and new names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
