// Package leash runs helper servers that never outlive the process that needs them, however that one ends.
package leash

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// script starts the server in the background, waits for its own input to end, which the death of the owner causes too, then stops the
// server, kindly for five seconds, and removes its folder.
const script = `dir=$1; shift
"$@" >"$dir/output" 2>&1 </dev/null & pid=$!
read _
kill $pid 2>/dev/null
n=0; while kill -0 $pid 2>/dev/null && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done
kill -9 $pid 2>/dev/null
wait $pid 2>/dev/null
rm -rf "$dir"`

// Server is a running program with a folder of its own.
type Server struct {
	dir  string
	cmd  *exec.Cmd
	pipe io.Closer
}

// Start runs argv with its working folder in a new temporary folder; the argument "{dir}" stands for that folder.
func Start(argv ...string) (*Server, error) {
	dir, err := os.MkdirTemp("", "madbase-test-*")
	if err != nil {
		return nil, fmt.Errorf("leash: %w", err)
	}
	args := []string{"-c", script, "sh", dir}
	for _, a := range argv {
		args = append(args, strings.ReplaceAll(a, "{dir}", dir))
	}
	cmd := exec.Command("/bin/sh", args...)
	cmd.Dir = dir
	detach(cmd)
	pipe, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("leash: %s: %w", argv[0], err), os.RemoveAll(dir))
	}
	return &Server{dir: dir, cmd: cmd, pipe: pipe}, nil
}

// Output is what the program has printed so far, for error messages.
func (s *Server) Output() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "output"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// Stop ends the program and removes its folder.
func (s *Server) Stop() error {
	err := s.pipe.Close()
	// The shell's status is that of its last command and says nothing of the server.
	_ = s.cmd.Wait()
	return err
}
