package edge

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// reloadEvery is how often a handshake looks whether the files have changed.
const reloadEvery = time.Second

// certFiles is a certificate that is read anew when its files change, as tools
// that renew certificates write them.
type certFiles struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	seen    [2]version
	looked  time.Time
}

// version is what tells a file from what it was before.
type version struct {
	modified time.Time
	size     int64
}

// load reads the files for the first time.
func (f *certFiles) load() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.read(f.versions())
}

// get implements tls.Config.GetCertificate. Files that do not fit together, as
// halfway through a renewal, leave the present certificate in place.
func (f *certFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.looked) >= reloadEvery {
		f.looked = now
		if versions := f.versions(); versions != f.seen {
			if err := f.read(versions); err != nil {
				f.log.Warn("the changed certificate cannot be used; the present one stays", "error", err)
			} else {
				f.log.Info("the certificate was read anew", "until", f.current.Leaf.NotAfter)
			}
		}
	}
	return f.current, nil
}

func (f *certFiles) versions() (v [2]version) {
	for i, name := range [...]string{f.cert, f.key} {
		if info, err := os.Stat(name); err == nil {
			v[i] = version{info.ModTime(), info.Size()}
		}
	}
	return v
}

// read takes the files' contents, of which v is the version.
func (f *certFiles) read(v [2]version) error {
	f.seen = v
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return fmt.Errorf("TLS_CERT_FILE and TLS_KEY_FILE: %w", err)
	}
	f.current = &pair
	return nil
}
