package modules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/config"
	"github.com/madbase/madbase/modules/control"
	"github.com/madbase/madbase/modules/storage"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/provision"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/secret"
)

// Sweep is the command that finds what rows and bytes of objects disagree about.
type Sweep struct {
	// DryRun removes nothing.
	DryRun bool
	// Project is the ref of the one to look at; empty for the default one. All looks at every one.
	Project string
	All     bool
	// Bucket is the only one to look at; empty for all.
	Bucket string
	// Age leaves alone what is younger.
	Age time.Duration
	// SkipRows looks for bytes without a row alone.
	SkipRows bool
}

// Run sweeps the projects and prints what it finds. It may run beside the server. A
// project that cannot be swept keeps none of the others from it.
func (s *Sweep) Run(ctx context.Context, cfg *config.Config, o Options) (err error) {
	switch {
	case s.Age < 0:
		return errors.New("--older-than must not be negative")
	case s.All && s.Project != "":
		return errors.New("--all and --project exclude each other")
	}
	if err := joinRunning(ctx, cfg); err != nil {
		return err
	}
	f, err := open(ctx, cfg, o)
	defer func() { err = errors.Join(err, f.close()) }()
	if err != nil {
		return err
	}
	if f.blobs == nil || f.projects == nil {
		return errors.New("storage sweep: this role has no storage")
	}
	p := printer{Sweep: *s, o: o}
	search := storage.Search{Bucket: s.Bucket, Before: time.Now().Add(-s.Age), Remove: !s.DryRun, SkipRows: s.SkipRows}
	projects, err := s.projects(f)
	if err != nil {
		return err
	}
	var failed []error
	for _, project := range projects {
		p.project = project.Ref
		if err := f.sweepProject(ctx, project, search, p.print); err != nil {
			failed = append(failed, fmt.Errorf("project %s: %w", project.Ref, err))
		}
	}
	return errors.Join(append(failed, p.sum())...)
}

// projects are those to be swept. One that is being made or deleted has no objects to look after.
func (s *Sweep) projects(f *foundation) (list []registry.Project, err error) {
	if !s.All && (s.Project == "" || s.Project == registry.DefaultRef) || f.registry == nil && s.All {
		return []registry.Project{{Ref: registry.DefaultRef}}, nil
	}
	if f.registry != nil {
		for _, p := range f.registry.Snapshot().Projects() {
			if (s.All || p.Ref == s.Project) && (p.Status == registry.Active || p.Status == registry.Suspended) {
				list = append(list, p)
			}
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("storage sweep: there is no project %q", s.Project)
	}
	return list, nil
}

// sweepProject opens the database of p, unless it is the default project's, and looks after its objects.
func (f *foundation) sweepProject(ctx context.Context, p registry.Project, s storage.Search, found func([]storage.Orphan) error) error {
	orphans := storage.NewOrphans(f.blobs)
	if p.Ref == registry.DefaultRef {
		return orphans.Sweep(ctx, f.projects.Default(), s, found)
	}
	databases := provision.New(provision.Deps{Registry: f.registry, OwnerURL: f.ownerURL, Lines: lines(), Log: f.log})
	url, logins, err := databases.Database(p)
	if err == nil {
		err = databases.Prepare(ctx, p)
	}
	if err != nil {
		return err
	}
	opened := &project.Project{Ref: p.Ref, StoragePrefix: p.StoragePrefix}
	if opened.DB, err = project.OpenDatabases(ctx, url, logins, project.PoolOptions{Sizes: f.cfg.Projects.Pools(f.cfg.Pools)}); err != nil {
		return err
	}
	defer opened.DB.Close()
	return orphans.Sweep(ctx, opened, s, found)
}

// joinRunning has a command that the embedded default's server runs beside use the
// server's database, which one process alone can start.
func joinRunning(ctx context.Context, cfg *config.Config) error {
	if !cfg.Embedded() {
		return nil
	}
	if err := completeSecrets(cfg); err != nil {
		return err
	}
	url, err := readConnection(cfg.Server.DataDir)
	if err != nil || url == "" {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil // it does not run: this process will start it
	}
	cfg.Server.DatabaseURL = secret.String(url)
	return conn.Close(ctx)
}

// printer writes what a sweep finds, a line each.
type printer struct {
	Sweep
	o       Options
	project string

	count map[string]int
	bytes int64
}

func (p *printer) print(found []storage.Orphan) error {
	if p.count == nil {
		p.count = map[string]int{}
	}
	for _, orphan := range found {
		p.count[orphan.Kind]++
		p.bytes += orphan.Size
		var err error
		if p.o.JSON {
			err = json.NewEncoder(p.o.Out).Encode(struct {
				Project string `json:"project"`
				storage.Orphan
			}{p.project, orphan})
		} else {
			_, err = fmt.Fprintf(p.o.Out, "%-6s  %s  %q  %s  %d bytes\n", orphan.Kind, p.project, orphan.Bucket+"/"+orphan.Name, orphan.Version, orphan.Size)
		}
		if err != nil {
			return fmt.Errorf("storage sweep: %w", err)
		}
	}
	return nil
}

// sum says how much it was, to people.
func (p *printer) sum() error {
	fate := "removed"
	if p.DryRun {
		fate = "to be removed"
	}
	_, err := fmt.Fprintf(p.o.Err, "%d blobs that no row names %s (%d bytes), and %d unfinished uploads; %d rows have no bytes.\n",
		p.count[storage.OrphanBytes], fate, p.bytes, p.count[storage.OrphanUpload], p.count[storage.OrphanRow])
	return err
}

// orphanFinder has the control plane ask storage.
type orphanFinder struct{ *storage.Orphans }

// FindOrphans implements control.Orphans.
func (f orphanFinder) FindOrphans(ctx context.Context, p *project.Project, s control.OrphanSearch, found func([]control.Orphan) error) error {
	search := storage.Search{Bucket: s.Bucket, Before: s.Before, Remove: s.Remove, SkipRows: s.Remove}
	return f.Sweep(ctx, p, search, func(orphans []storage.Orphan) error {
		list := make([]control.Orphan, len(orphans))
		for i, o := range orphans {
			list[i] = control.Orphan{Row: o.Kind == storage.OrphanRow, Name: o.Name, Version: o.Version, Size: o.Size}
		}
		return found(list)
	})
}
