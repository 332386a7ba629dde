// Command services runs a command, such as a test run, beside real services: PostgreSQL, Redis and an S3 server, started once for all of it.
//
//	go run ./platform/testkit/services -- go test ./...
//
// The command finds them in MADBASE_TEST_PG_URL, MADBASE_TEST_REDIS_URL and MADBASE_TEST_S3_URL. A service that one of these already names
// is used as it is. All that was started ends with the command, whose status is passed on, or when this program is killed.
// A service that cannot be had is left out, which the tests that need it say; with CI=true nothing runs without it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/madbase/madbase/platform/testdb"
	"github.com/madbase/madbase/platform/testkit"
)

// running is one service of a run.
type running struct {
	name, variable string
	start          func(context.Context) (url, origin string, imitation bool, stop func() error, err error)

	url, origin string
	imitation   bool
	stop        func() error
	err         error
}

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: services -- COMMAND [ARGUMENT...]")
		os.Exit(2)
	}
	os.Exit(run(args, os.Stderr))
}

// run returns the command's exit status, 1 when it could not be run.
func run(args []string, notes io.Writer) int {
	// A signal during the start ends it; later ones go to the command.
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	all := services()
	startAll(ctx, all)
	interrupted := ctx.Err() != nil
	cancel()
	defer stopAll(all, notes)
	ok := summary(all, notes)
	if interrupted {
		return 1
	}
	if !ok && os.Getenv("CI") == "true" {
		fmt.Fprintln(notes, "services: CI=true, so all of them have to be there and real")
		return 1
	}
	status, err := command(args, all)
	if err != nil {
		fmt.Fprintf(notes, "services: %v\n", err)
	}
	// Once more, where the reader of a long test run looks.
	summary(all, notes)
	return status
}

func services() []*running {
	return []*running{
		{name: "PostgreSQL", variable: testdb.URLVariable, start: startPostgres},
		{name: "Redis", variable: testkit.RedisVariable, start: starter(testkit.StartRedis)},
		{name: "S3", variable: testkit.S3Variable, start: starter(testkit.StartS3)},
	}
}

func startPostgres(ctx context.Context) (string, string, bool, func() error, error) {
	s, err := testdb.Start(ctx)
	if err != nil {
		return "", "", false, nil, err
	}
	stop := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		return s.Stop(ctx)
	}
	return s.URL, s.Origin, false, stop, nil
}

func starter(start func(context.Context) (*testkit.Service, error)) func(context.Context) (string, string, bool, func() error, error) {
	return func(ctx context.Context) (string, string, bool, func() error, error) {
		s, err := start(ctx)
		if err != nil {
			return "", "", false, nil, err
		}
		return s.URL, s.Origin, s.Imitation, s.Stop, nil
	}
}

func startAll(ctx context.Context, all []*running) {
	var wg sync.WaitGroup
	for _, r := range all {
		wg.Go(func() { r.url, r.origin, r.imitation, r.stop, r.err = r.start(ctx) })
	}
	wg.Wait()
}

// stopAll ends what was started, in reverse.
func stopAll(all []*running, notes io.Writer) {
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].stop == nil {
			continue
		}
		if err := all[i].stop(); err != nil {
			fmt.Fprintf(notes, "services: stop %s: %v\n", all[i].name, err)
		}
	}
}

// summary says what each service is, and whether all are there and real.
func summary(all []*running, notes io.Writer) bool {
	ok := true
	for _, r := range all {
		switch {
		case r.err != nil:
			ok = false
			fmt.Fprintf(notes, "services: %s MISSING, its tests are skipped: %v\n", r.name, r.err)
		case r.imitation:
			ok = false
			fmt.Fprintf(notes, "services: %s SUBSTITUTED by %s\n", r.name, r.origin)
		default:
			fmt.Fprintf(notes, "services: %s is %s\n", r.name, r.origin)
		}
	}
	return ok
}

// command runs the command with the services in its environment. A terminal's Ctrl-C reaches it directly; a SIGTERM is passed on.
func command(args []string, all []*running) (status int, err error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	// The kernel watches the thread that starts the command, so this one has to last.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dieWithParent(cmd)
	cmd.Env = os.Environ()
	for _, r := range all {
		if r.err == nil {
			cmd.Env = append(cmd.Env, r.variable+"="+r.url)
		}
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case sig := <-signals:
			if sig == syscall.SIGTERM {
				_ = cmd.Process.Signal(sig)
			}
		case err := <-ended:
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				return max(exit.ExitCode(), 1), nil
			}
			if err != nil {
				return 1, err
			}
			return 0, nil
		}
	}
}
