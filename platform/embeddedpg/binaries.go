package embeddedpg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// oldestMajor is the oldest PostgreSQL that madbase's schemas work on: views with the caller's rights and STRATEGY came with 15.
const oldestMajor = 15

// binaries is a folder with initdb and postgres of one version.
type binaries struct {
	dir   string
	major int
}

// binaryPlaces are where distributions and Homebrew put PostgreSQL's programs, apart from PATH.
var binaryPlaces = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/usr/lib/postgresql*/bin",
	"/usr/libexec/postgresql*",
	"/usr/local/pgsql/bin",
	"/opt/homebrew/opt/postgresql@*/bin",
	"/usr/local/opt/postgresql@*/bin",
	"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
}

const installHint = "install PostgreSQL (for instance: apt-get install postgresql), name its folder in MADBASE_PG_BIN, or set DATABASE_URL"

// chooseBinaries picks the binaries: those of the data folder's version where there is data, else the newest.
func (c *Cluster) chooseBinaries(ctx context.Context) (binaries, error) {
	want, err := dataVersion(c.place.pgdata())
	if err != nil {
		return binaries{}, err
	}
	found, unusable := c.findBinaries(ctx)
	best := binaries{}
	for _, b := range found {
		if (want == 0 && b.major >= oldestMajor && b.major > best.major) || (want != 0 && b.major == want && best.major == 0) {
			best = b
		}
	}
	if best.major != 0 {
		return best, nil
	}
	if c.cfg.BinDir == "" && (want == 0 || want == c.dist.major) {
		return c.download(ctx)
	}
	list := unusable
	for _, b := range found {
		list = append(list, fmt.Sprintf("%d (%s)", b.major, b.dir))
	}
	have := cmp.Or(strings.Join(list, ", "), "none")
	if want != 0 {
		return binaries{}, fmt.Errorf("embeddedpg: %w: %s was made by PostgreSQL %d and opens with no other version; found: %s; install PostgreSQL %d or name its folder in MADBASE_PG_BIN",
			ErrNoBinaries, c.place.pgdata(), want, have, want)
	}
	return binaries{}, fmt.Errorf("embeddedpg: %w in MADBASE_PG_BIN=%s of version %d or newer; found: %s", ErrNoBinaries, c.cfg.BinDir, oldestMajor, have)
}

// dataVersion reads the major version of a data folder, 0 when there is none yet. A folder with content but no version is
// somebody's, so it is refused rather than initialised.
func dataVersion(pgdata string) (int, error) {
	text, err := os.ReadFile(filepath.Join(pgdata, "PG_VERSION"))
	if err == nil {
		v, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return 0, fmt.Errorf("embeddedpg: %s/PG_VERSION is not a version: %w", pgdata, err)
		}
		return v, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("embeddedpg: data folder: %w", err)
	}
	entries, err := os.ReadDir(pgdata)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("embeddedpg: data folder: %w", err)
	}
	if len(entries) > 0 {
		return 0, fmt.Errorf("embeddedpg: %s holds files but no PG_VERSION: not touching it", pgdata)
	}
	return 0, nil
}

// findBinaries lists the usable folders in the order of preference, and what is wrong with the others.
func (c *Cluster) findBinaries(ctx context.Context) (found []binaries, unusable []string) {
	var dirs []string
	if c.cfg.BinDir != "" {
		dirs = append(dirs, c.cfg.BinDir)
	} else {
		if path, err := exec.LookPath("postgres"); err == nil {
			// A link in PATH leads to the real folder, where initdb and the libraries are.
			if real, err := filepath.EvalSymlinks(path); err == nil {
				dirs = append(dirs, filepath.Dir(real))
			}
		}
		for _, pattern := range binaryPlaces {
			// The only possible error is a malformed pattern.
			matches, _ := filepath.Glob(pattern)
			dirs = append(dirs, matches...)
		}
	}
	seen := map[string]bool{}
	for _, dir := range dirs {
		if seen[dir] {
			continue
		}
		seen[dir] = true
		if b, err := c.inspect(ctx, dir); err == nil {
			found = append(found, b)
		} else {
			unusable = append(unusable, fmt.Sprintf("unusable (%s: %v)", dir, err))
		}
	}
	return found, unusable
}

var versionLine = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// inspect asks the binaries in dir for their version, as the user that is to run them: root may reach what that user cannot.
func (c *Cluster) inspect(ctx context.Context, dir string) (binaries, error) {
	if _, err := exec.LookPath(filepath.Join(dir, "initdb")); err != nil {
		return binaries{}, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version")
	c.prepare(cmd)
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := runToEnd(cmd); err != nil {
		return binaries{}, fmt.Errorf("%w %s", err, &out)
	}
	m := versionLine.FindStringSubmatch(out.String())
	if m == nil {
		return binaries{}, fmt.Errorf("unknown version %q", &out)
	}
	major, err := strconv.Atoi(m[1])
	return binaries{dir: dir, major: major}, err
}
