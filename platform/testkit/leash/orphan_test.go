//go:build unix

package leash_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/testkit/leash"
)

// ownerVariable turns the test binary into a process that owns a program, and waits to be killed.
const ownerVariable = "MADBASE_TEST_LEASH_OWNER"

func TestMain(m *testing.M) {
	if os.Getenv(ownerVariable) == "" {
		os.Exit(m.Run())
	}
	s, err := leash.Start("/bin/sh", "-c", "echo $$ {dir}; exec sleep 100")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for s.Output() == "" {
		<-time.After(10 * time.Millisecond)
	}
	fmt.Println(s.Output())
	select {}
}

func TestKilledOwnerTakesItsProgramAlong(t *testing.T) {
	t.Parallel()
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), ownerVariable+"=1")
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if killErr := owner.Process.Kill(); err != nil || killErr != nil {
		t.Fatal(err, killErr)
	}
	_ = owner.Wait()
	pid, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatalf("owner said %q", line)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(10 * time.Second)
	defer limit.Stop()
	for {
		_, statErr := os.Stat(dir)
		if syscall.Kill(n, 0) != nil && os.IsNotExist(statErr) {
			return
		}
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("program %d or its folder %s is still there", n, dir)
		}
	}
}
