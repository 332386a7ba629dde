// Package migrate applies ordered SQL files, one line of them per schema. What
// was applied is recorded with its checksum; an advisory lock lets several
// processes start at once.
package migrate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// Line is one schema's ordered migrations: files named 0001_what.sql.
type Line struct {
	Name  string
	Files fs.FS
}

// ErrChanged is the reason when a file that was applied has changed since.
var ErrChanged = errors.New("migrate: an applied migration was changed")

// lockKey is madbase's own advisory lock, any constant will do.
const lockKey = 0x6d616462617365

const bookkeeping = `
CREATE SCHEMA IF NOT EXISTS madbase;
REVOKE ALL ON SCHEMA madbase FROM PUBLIC;
CREATE TABLE IF NOT EXISTS madbase.migrations (
	line       text        NOT NULL,
	version    text        NOT NULL,
	checksum   text        NOT NULL,
	applied_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (line, version)
)`

// Run applies what each line still lacks, in order, each file in a transaction
// of its own with its record. Then it calls finish, still under the lock, for
// statements that every start repeats. The first failure rolls its file back and
// ends the run.
func Run(ctx context.Context, conn *pgx.Conn, log *slog.Logger, lines []Line, finish func(context.Context, *pgx.Conn) error) (err error) {
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(lockKey)); err != nil {
		return fmt.Errorf("migrate: lock: %w", err)
	}
	defer func() {
		_, unlockErr := conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(lockKey))
		err = errors.Join(err, unlockErr)
	}()
	if _, err := conn.Exec(ctx, bookkeeping); err != nil {
		return fmt.Errorf("migrate: bookkeeping: %w", err)
	}
	for _, line := range lines {
		if err := line.apply(ctx, conn, log); err != nil {
			return err
		}
	}
	if finish == nil {
		return nil
	}
	return finish(ctx, conn)
}

func (l Line) apply(ctx context.Context, conn *pgx.Conn, log *slog.Logger) error {
	files, err := l.read()
	if err != nil {
		return err
	}
	applied, err := l.applied(ctx, conn)
	if err != nil {
		return err
	}
	for _, f := range files {
		if sum, found := applied[f.version]; found {
			if sum != f.checksum {
				return fmt.Errorf("%w: %s/%s", ErrChanged, l.Name, f.version)
			}
			continue
		}
		if err := l.applyFile(ctx, conn, f); err != nil {
			return err
		}
		log.InfoContext(ctx, "migration applied", "line", l.Name, "version", f.version)
	}
	return nil
}

func (l Line) applyFile(ctx context.Context, conn *pgx.Conn, f file) error {
	err := db.Retry(ctx, func() error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, f.sql); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "INSERT INTO madbase.migrations (line, version, checksum) VALUES ($1, $2, $3)", l.Name, f.version, f.checksum)
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("migrate: %s/%s: %w", l.Name, f.version, err)
	}
	// A migration may set variables of the session, such as search_path.
	if _, err := conn.Exec(ctx, "RESET ALL"); err != nil {
		return fmt.Errorf("migrate: %s/%s: reset: %w", l.Name, f.version, err)
	}
	return nil
}

func (l Line) applied(ctx context.Context, conn *pgx.Conn) (map[string]string, error) {
	rows, err := conn.Query(ctx, "SELECT version, checksum FROM madbase.migrations WHERE line = $1", l.Name)
	if err != nil {
		return nil, fmt.Errorf("migrate: read line %s: %w", l.Name, err)
	}
	applied := map[string]string{}
	var version, checksum string
	_, err = pgx.ForEachRow(rows, []any{&version, &checksum}, func() error {
		applied[version] = checksum
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("migrate: read line %s: %w", l.Name, err)
	}
	return applied, nil
}

type file struct{ version, checksum, sql string }

var fileName = regexp.MustCompile(`^\d{4}_[a-z0-9_]+\.sql$`)

// read returns the line's files in order. Two files of one number are refused.
func (l Line) read() ([]file, error) {
	names, err := fs.Glob(l.Files, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("migrate: list line %s: %w", l.Name, err)
	}
	slices.Sort(names)
	files := make([]file, 0, len(names))
	for i, name := range names {
		if !fileName.MatchString(name) {
			return nil, fmt.Errorf("migrate: %s/%s: name is not 0001_what.sql", l.Name, name)
		}
		if i > 0 && name[:4] == names[i-1][:4] {
			return nil, fmt.Errorf("migrate: %s: number %s is used twice", l.Name, name[:4])
		}
		text, err := fs.ReadFile(l.Files, name)
		if err != nil {
			return nil, fmt.Errorf("migrate: %s/%s: %w", l.Name, name, err)
		}
		sum := sha256.Sum256(text)
		files = append(files, file{strings.TrimSuffix(name, ".sql"), hex.EncodeToString(sum[:]), string(text)})
	}
	return files, nil
}

// Checksum identifies the content of lines, for caching databases made from them.
func Checksum(lines ...Line) (string, error) {
	h := sha256.New()
	for _, l := range lines {
		files, err := l.read()
		if err != nil {
			return "", err
		}
		for _, f := range files {
			fmt.Fprintln(h, l.Name, f.version, f.checksum)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}
