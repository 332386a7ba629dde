// Package testkit gives tests the real services that madbase stands on: Redis and an S3 server (PostgreSQL is platform/testdb's).
//
//	url := testkit.Redis(t)   // redis://…, a database of the test's own
//	s3 := testkit.S3(t)       // endpoint, keys and a bucket of the test's own
//
// Each service is, in this order: the one its environment variable names (`task test` sets them all, by the program in services/);
// a local program; a Docker container, where an engine answers; for Redis at last an imitation in process, which lacks client-side caching
// and says so. It is started by the first test that asks for it and ends with the process.
// Where none can be had the test is skipped with the reason. With CI=true it fails instead, and no imitation is accepted.
package testkit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"
	"time"
)

// Environment variables that name a running service.
const (
	// RedisVariable holds a redis:// URL.
	RedisVariable = "MADBASE_TEST_REDIS_URL"
	// S3Variable holds http://ACCESSKEY:SECRETKEY@HOST:PORT/?region=REGION of a server with path-style addressing.
	S3Variable = "MADBASE_TEST_S3_URL"
)

// Service is something that runs for tests.
type Service struct {
	// URL is how to reach it, in the form of its environment variable.
	URL string
	// Origin says what it is, for people.
	Origin string
	// Imitation is set when it is not the real program.
	Imitation bool

	stop func() error
}

// Stop ends the service if this process started it.
func (s *Service) Stop() error {
	if s == nil || s.stop == nil {
		return nil
	}
	return s.stop()
}

// inCI tells whether a missing service is a failure.
func inCI() bool { return os.Getenv("CI") == "true" }

// need ends the test when the service could not be had: as failed in CI, else as skipped.
func need(t testing.TB, what string, s *Service, err error) {
	t.Helper()
	if err == nil && s.Imitation && inCI() {
		err = fmt.Errorf("only %s", s.Origin)
	}
	switch {
	case err == nil:
		note := ""
		if s.Imitation {
			note = " (SUBSTITUTED: not the real one)"
		}
		t.Logf("testkit: %s is %s%s", what, s.Origin, note)
	case inCI():
		t.Fatalf("testkit: CI=true and no %s for tests: %v", what, err)
	default:
		t.Skipf("testkit: SKIPPED, no %s for tests: %v", what, err)
	}
}

// startTime bounds the start of a service, a build and the pull of an image apart.
const startTime = 20 * time.Second

// await calls ready until it returns nil.
func await(ctx context.Context, ready func() error) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// freeAddr is an address on the loopback interface that nobody listens on now.
func freeAddr() (addr, port string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	addr = l.Addr().String()
	return addr, strconv.Itoa(l.Addr().(*net.TCPAddr).Port), l.Close()
}
