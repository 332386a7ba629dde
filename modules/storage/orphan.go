package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/project"
)

// The kinds of what rows and bytes disagree about.
const (
	// OrphanBytes are bytes that no row names, as a crash between the two leaves them.
	OrphanBytes = "bytes"
	// OrphanUpload are parts of an upload that nobody will finish.
	OrphanUpload = "upload"
	// OrphanRow is a row whose bytes are gone. It is told and never removed: the
	// bytes may be in a backup, or the settings name another store.
	OrphanRow = "row"
)

// Orphan is one disagreement between rows and bytes.
type Orphan struct {
	Kind    string `json:"kind"`
	Bucket  string `json:"bucket"`
	Name    string `json:"name"`
	Version string `json:"version"`
	// Size is in bytes; 0 where it is not known.
	Size int64 `json:"size"`
	// Removed says that it was one.
	Removed bool `json:"removed"`

	key, upload string
}

// Search says what to look for.
type Search struct {
	// Bucket is the only one to look at; empty for all, and for what is in none.
	Bucket string
	// Before leaves alone what is younger.
	Before time.Time
	// Remove removes orphaned bytes and uploads, rather than only telling of them.
	Remove bool
	// SkipRows leaves out rows whose bytes are gone: each row is a request to the store.
	SkipRows bool
}

const (
	// orphanBatch is how many keys one statement looks up.
	orphanBatch = 1000
	// orphansHeld bounds the orphans that wait for their second look.
	orphansHeld = 20_000
	// uploadAge is how old an upload without a row must be: its process notes it at
	// once, but for plain uploads, which no row names until they are there.
	uploadAge = 24 * time.Hour
	// orphanSettle parts the two looks: a row that is being written for bytes that
	// are there already is committed, or never will be, by then.
	orphanSettle = 2 * finishTime
)

// Orphans finds what a crash has left behind. It may run beside all requests, in
// any process: what it removes had no row in two looks that are further apart
// than bytes and their row ever are.
type Orphans struct {
	blobs blob.Store
	// settle lets pass what parts the two looks, and calls alive now and then.
	settle func(ctx context.Context, alive func() error) error
}

// NewOrphans returns a finder for the store.
func NewOrphans(blobs blob.Store) *Orphans { return &Orphans{blobs: blobs, settle: settle} }

// Sweep calls found with all that it finds, some at a time, and once more with
// nothing now and then, so that whoever waits knows that it works. An error of
// found ends it.
func (o *Orphans) Sweep(ctx context.Context, p *project.Project, s Search, found func([]Orphan) error) error {
	if s.Bucket != "" && !validBucket(s.Bucket) {
		return errBucketName()
	}
	w := &orphanWalk{Orphans: o, p: p, Search: s, found: found}
	steps := []func(context.Context) error{w.bytes, w.uploads}
	if !s.SkipRows {
		steps = append(steps, w.rows)
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return fmt.Errorf("storage: sweep: %w", err)
		}
	}
	return nil
}

// orphanWalk is one sweep.
type orphanWalk struct {
	*Orphans
	Search
	p     *project.Project
	found func([]Orphan) error

	// batch has not been looked at; held has no row so far and is to be looked at again.
	batch, held []Orphan
}

// prefix begins the keys to look at.
func (w *orphanWalk) prefix() string {
	if w.Bucket == "" {
		return w.p.StoragePrefix + "/"
	}
	return w.p.StoragePrefix + "/" + w.Bucket + "/"
}

// bytes goes through the store and asks for each key whether a row names it.
func (w *orphanWalk) bytes(ctx context.Context) error {
	for info, err := range w.blobs.List(ctx, w.prefix()) {
		if err != nil {
			return err
		}
		orphan, ok := orphanOf(w.p.StoragePrefix, info.Key)
		if !ok || !info.Modified.Before(w.Before) {
			continue
		}
		orphan.Kind, orphan.Size = OrphanBytes, info.Size
		if err := w.consider(ctx, orphan); err != nil {
			return err
		}
	}
	return w.conclude(ctx)
}

// uploads goes through the uploads that the store has not finished.
func (w *orphanWalk) uploads(ctx context.Context) error {
	parts, ok := w.blobs.(blob.Multipart)
	if !ok {
		return nil
	}
	before := time.Now().Add(-uploadAge)
	if w.Before.Before(before) {
		before = w.Before
	}
	for begun, err := range parts.Unfinished(ctx, w.prefix()) {
		if err != nil {
			return err
		}
		orphan, ok := orphanOf(w.p.StoragePrefix, begun.Key)
		if !ok || !begun.Since.Before(before) {
			continue
		}
		orphan.Kind, orphan.upload = OrphanUpload, begun.ID
		if err := w.consider(ctx, orphan); err != nil {
			return err
		}
	}
	return w.conclude(ctx)
}

// consider takes up an orphan that may be one.
func (w *orphanWalk) consider(ctx context.Context, o Orphan) error {
	if w.batch = append(w.batch, o); len(w.batch) < orphanBatch {
		return nil
	}
	if err := w.look(ctx); err != nil {
		return err
	}
	if len(w.held) < orphansHeld {
		return w.found(nil)
	}
	return w.settled(ctx)
}

// conclude ends a walk through the store.
func (w *orphanWalk) conclude(ctx context.Context) error {
	if err := w.look(ctx); err != nil {
		return err
	}
	return w.settled(ctx)
}

// look takes the first look at the batch.
func (w *orphanWalk) look(ctx context.Context) error {
	orphans, err := w.unnamed(ctx, w.batch)
	w.batch = w.batch[:0]
	if err != nil || len(orphans) == 0 {
		return err
	}
	if !w.Remove {
		return w.found(orphans)
	}
	w.held = append(w.held, orphans...)
	return nil
}

// settled takes the second look at what is held, some time after the first, and removes it.
func (w *orphanWalk) settled(ctx context.Context) error {
	held := w.held
	w.held = nil
	if len(held) == 0 {
		return nil
	}
	if err := w.settle(ctx, func() error { return w.found(nil) }); err != nil {
		return err
	}
	for len(held) > 0 {
		part := held[:min(orphanBatch, len(held))]
		held = held[len(part):]
		orphans, err := w.unnamed(ctx, part)
		if err != nil {
			return err
		}
		if err := w.remove(ctx, orphans); err != nil {
			return err
		}
		if err := w.found(orphans); err != nil {
			return err
		}
	}
	return nil
}

func settle(ctx context.Context, alive func() error) error {
	timer := time.NewTimer(orphanSettle)
	defer timer.Stop()
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return nil
		case <-tick.C:
			if err := alive(); err != nil {
				return err
			}
		}
	}
}

func (w *orphanWalk) remove(ctx context.Context, orphans []Orphan) error {
	var keys []string
	for i := range orphans {
		o := &orphans[i]
		o.Removed = true
		if o.Kind == OrphanBytes {
			keys = append(keys, o.key)
			continue
		}
		up := blob.Upload{Key: o.key, ID: o.upload}
		if err := w.blobs.(blob.Multipart).AbortMultipart(ctx, up); err != nil {
			return err
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return w.blobs.Delete(ctx, keys...)
}

// unnamed returns those of list that no row names now.
func (w *orphanWalk) unnamed(ctx context.Context, list []Orphan) (left []Orphan, err error) {
	var (
		versions, tails []Orphan
		names           []store.Version
		ids             []string
	)
	for _, o := range list {
		if o.Bucket == tailBucket {
			tails, ids = append(tails, o), append(ids, o.Name)
			continue
		}
		versions, names = append(versions, o), append(names, store.Version{Bucket: o.Bucket, Name: o.Name, Version: o.Version})
	}
	pick := func(from []Orphan, which []int, failed error) {
		err = errors.Join(err, failed)
		for _, i := range which {
			left = append(left, from[i])
		}
	}
	if len(names) > 0 {
		which, err := store.UnnamedVersions(ctx, w.p.DB.Storage, names)
		pick(versions, which, err)
	}
	if len(ids) > 0 {
		which, err := store.UnnamedUploads(ctx, w.p.DB.Storage, ids)
		pick(tails, which, err)
	}
	return left, err
}

// orphanOf reads a key as blobKey and tailPrefix make them. What has another form
// was not written by madbase and is left alone.
func orphanOf(prefix, key string) (Orphan, bool) {
	rest, ok := strings.CutPrefix(key, prefix+"/")
	bucket, rest, found := strings.Cut(rest, "/")
	slash := strings.LastIndexByte(rest, '/')
	if !ok || !found || slash < 0 {
		return Orphan{}, false
	}
	name, version := rest[:slash], rest[slash+1:]
	if !isVersion(version) || bucket == tailBucket && !isVersion(name) {
		return Orphan{}, false
	}
	if bucket != tailBucket {
		segments := strings.Split(name, "/")
		for i := range segments {
			if segments[i] == emptySegment {
				segments[i] = ""
			}
		}
		name = strings.Join(segments, "/")
	}
	return Orphan{Bucket: bucket, Name: name, Version: version, key: key}, true
}

// isVersion reports whether text is a UUID in its usual form, as all versions are.
func isVersion(text string) bool {
	parsed, err := uuid.Parse(text)
	return err == nil && parsed.String() == text
}
