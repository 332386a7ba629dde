package embeddedpg

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Role and Database name the owner of a private cluster and the database its URL opens.
const (
	Role     = "postgres"
	Database = "postgres"
)

// initialise creates the data folder unless it holds data. initdb works in a side folder that is renamed once it is complete, so that
// an interrupted first start leaves nothing half-made.
func (c *Cluster) initialise(ctx context.Context) error {
	version, err := dataVersion(c.place.pgdata())
	if err != nil {
		return err
	}
	if version != 0 {
		return c.readPassword()
	}
	if err := c.makePassword(); err != nil {
		return err
	}
	began := time.Now()
	if !c.ephemeral {
		fmt.Fprintf(c.progress, "Initialising PostgreSQL %d in %s ...\n", c.bin.major, c.place.pgdata())
	}
	side := c.place.side()
	if err := c.reap(side); err != nil {
		return err
	}
	if err := os.RemoveAll(side); err != nil {
		return fmt.Errorf("embeddedpg: initialise: %w", err)
	}
	if err := c.place.owner.mkdir(side); err != nil {
		return fmt.Errorf("embeddedpg: initialise: %w", err)
	}
	if err := c.runInitdb(ctx, side); err != nil {
		return err
	}
	if err := c.writeDefaults(filepath.Join(side, "postgresql.conf")); err != nil {
		return fmt.Errorf("embeddedpg: initialise: %w", err)
	}
	if err := c.recordPlace(); err != nil {
		return err
	}
	if err := os.Rename(side, c.place.pgdata()); err != nil {
		return fmt.Errorf("embeddedpg: initialise: %w", err)
	}
	if err := syncDir(c.place.state); err != nil {
		return fmt.Errorf("embeddedpg: initialise: %w", err)
	}
	c.log.Info("initialised a PostgreSQL cluster", "dir", c.place.pgdata(), "version", c.bin.major, "user", c.place.owner.name, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// makePassword writes the owner's password before the cluster exists, so that no cluster exists without it.
func (c *Cluster) makePassword() error {
	if err := c.readPassword(); err == nil {
		return nil
	}
	c.password = rand.Text()
	if err := writeDurably(c.place.password(), []byte(c.password+"\n"), 0o600); err != nil {
		return fmt.Errorf("embeddedpg: password: %w", err)
	}
	return nil
}

func (c *Cluster) readPassword() error {
	text, err := os.ReadFile(c.place.password())
	if err != nil {
		return fmt.Errorf("embeddedpg: password of the database in %s: %w", c.place.pgdata(), err)
	}
	c.password = strings.TrimSpace(string(text))
	if c.password == "" {
		return fmt.Errorf("embeddedpg: password of the database in %s: %s is empty", c.place.pgdata(), c.place.password())
	}
	return nil
}

// runInitdb fills dir. The owner role's password goes through a file that only postgres' user can read, and that is removed at once.
func (c *Cluster) runInitdb(ctx context.Context, dir string) error {
	pwfile := filepath.Join(c.place.state, "password.initdb")
	if err := os.Remove(pwfile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("embeddedpg: initialise: %w", err)
	}
	if err := os.WriteFile(pwfile, []byte(c.password+"\n"), 0o600); err != nil {
		return fmt.Errorf("embeddedpg: initialise: %w", err)
	}
	defer os.Remove(pwfile)
	if err := c.place.owner.give(pwfile); err != nil {
		return fmt.Errorf("embeddedpg: initialise: %w", err)
	}
	args := []string{
		"-D", dir, "-U", Role, "--pwfile=" + pwfile, "-E", "UTF8", "--auth=scram-sha-256", "--no-instructions",
	}
	args = append(args, localeArgs(c.bin.major, runtime.GOOS)...)
	if c.ephemeral {
		args = append(args, "--no-sync", "--wal-segsize=1")
	} else {
		args = append(args, "--data-checksums", "--wal-segsize=4")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin.dir, "initdb"), args...)
	c.prepare(cmd)
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := runToEnd(cmd); err != nil {
		return fmt.Errorf("embeddedpg: initdb: %w: %s", errors.Join(err, ctx.Err()), &out)
	}
	return nil
}

// localeArgs asks for the order and case rules that are the same on every machine and do not change under the data when the system's
// libraries are upgraded.
func localeArgs(major int, goos string) []string {
	switch {
	case major >= 17:
		return []string{"--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"}
	case goos == "linux":
		return []string{"--locale=C.UTF-8"}
	default:
		return []string{"--locale=C", "--lc-ctype=UTF-8"}
	}
}

// writeDefaults appends madbase's defaults to a new postgresql.conf, where the user may change them later. What must hold is given on
// the command line instead (see serverArgs).
func (c *Cluster) writeDefaults(conf string) error {
	f, err := os.OpenFile(conf, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	const text = `
# madbase's defaults: a small log of changes, as fits a laptop.
max_wal_size = '64MB'
min_wal_size = '32MB'
max_wal_senders = 10
max_replication_slots = 10
log_timezone = 'UTC'
timezone = 'UTC'
# As in Supabase's own image: plans name their query, and reckon with a small cache.
compute_query_id = on
effective_cache_size = '128MB'
`
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}
