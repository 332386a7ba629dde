package testkit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// buildTime bounds the build of the S3 server: the first one on a machine downloads and compiles several hundred packages.
const buildTime = 10 * time.Minute

// buildS3 returns the path of the S3 server's program. It is built in its own module, so that its dependencies stay out of madbase's,
// and kept in the user's cache folder under a name made of all that went into it.
func buildS3(ctx context.Context) (string, error) {
	src, err := s3Source()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, name := range []string{"main.go", "go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(src, name))
		if err != nil {
			return "", fmt.Errorf("testkit: S3 server: %w", err)
		}
		sum.Write(text)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("testkit: S3 server: %w", err)
	}
	cache = filepath.Join(cache, "madbase-test")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("testkit: S3 server: %w", err)
	}
	program := filepath.Join(cache, "s3server-"+hex.EncodeToString(sum.Sum(nil)[:8]))
	// Test processes that start together wait for one build rather than make it several times.
	unlock, err := lockFile(program + ".lock")
	if err != nil {
		return "", fmt.Errorf("testkit: S3 server: %w", err)
	}
	defer unlock()
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	return program, compileS3(ctx, src, program)
}

func compileS3(ctx context.Context, src, program string) error {
	ctx, cancel := context.WithTimeout(ctx, buildTime)
	defer cancel()
	scratch := program + ".new"
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", scratch, ".")
	cmd.Dir = src
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("testkit: build S3 server: %w: %s", errors.Join(err, ctx.Err()), out)
	}
	if err := os.Rename(scratch, program); err != nil {
		return fmt.Errorf("testkit: build S3 server: %w", err)
	}
	return nil
}

// s3Source finds the module's folder: beside this file, or, where paths were trimmed from the build, below a parent of the working folder.
func s3Source() (string, error) {
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		dir := filepath.Join(filepath.Dir(file), "s3server")
		if _, err := os.Stat(dir); err == nil {
			return dir, nil
		}
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("testkit: S3 server: %w", err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		src := filepath.Join(dir, "platform", "testkit", "s3server")
		if _, err := os.Stat(src); err == nil {
			return src, nil
		}
	}
	return "", errors.New("testkit: S3 server: its source folder was not found")
}
