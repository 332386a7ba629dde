package driver_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/driver"
	"github.com/madbase/madbase/platform/secret"
	"github.com/madbase/madbase/platform/testkit"
)

func TestFolder(t *testing.T) {
	t.Parallel()
	given, configured := filepath.Join(t.TempDir(), "given"), filepath.Join(t.TempDir(), "configured")
	for _, cfg := range []blob.Config{{}, {FilePath: configured}} {
		s, err := driver.Open(t.Context(), cfg, given, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Put(t.Context(), "k", strings.NewReader("x"), blob.PutOptions{Size: 1}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, dir := range []string{given, configured} {
		if _, err := os.Stat(filepath.Join(dir, "k=")); err != nil {
			t.Error(err)
		}
	}
}

func TestS3(t *testing.T) {
	t.Parallel()
	server := testkit.S3(t)
	s, err := driver.Open(t.Context(), blob.Config{
		Endpoint: server.Endpoint, AccessKey: server.AccessKey, SecretKey: secret.String(server.SecretKey),
		Bucket: server.Bucket, Region: server.Region, PathStyle: true,
	}, "/nowhere", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := blob.Check(t.Context(), s); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestFaultySettings(t *testing.T) {
	t.Parallel()
	if _, err := driver.Open(t.Context(), blob.Config{Endpoint: "http://x"}, t.TempDir(), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("S3 without keys was opened")
	}
}
