// Package container runs a service for tests in a Docker container, where an engine answers.
package container

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/ory/dockertest/v3"
	"github.com/ory/dockertest/v3/docker"
)

// lifetime is when a container ends by itself, in seconds, should its owner be killed before stopping it.
const lifetime = 3600

// Spec says what to run.
type Spec struct {
	// Image and Tag name the image; it is pulled when absent.
	Image, Tag string
	Env, Cmd   []string
	// Port is the container's TCP port, as a number.
	Port string
}

// Available returns nil when an engine answers within a second. Creating a pool alone proves nothing: it does not talk to the engine.
func Available(ctx context.Context) error {
	_, err := pool(ctx)
	return err
}

func pool(ctx context.Context) (*dockertest.Pool, error) {
	p, err := dockertest.NewPool("")
	if err != nil {
		return nil, fmt.Errorf("container: no Docker engine: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := p.Client.PingWithContext(ctx); err != nil {
		return nil, fmt.Errorf("container: no Docker engine: %w", err)
	}
	return p, nil
}

// Run starts a container and returns the address of its port, host:port, once ready, called with it again and again, returns nil.
// stop removes the container.
func Run(ctx context.Context, spec Spec, ready func(addr string) error) (addr string, stop func() error, err error) {
	p, err := pool(ctx)
	if err != nil {
		return "", nil, err
	}
	port := spec.Port + "/tcp"
	r, err := p.RunWithOptions(&dockertest.RunOptions{
		Repository: spec.Image, Tag: spec.Tag, Env: spec.Env, Cmd: spec.Cmd, ExposedPorts: []string{port},
		Labels: map[string]string{"madbase": "test"},
	}, func(h *docker.HostConfig) { h.AutoRemove = true })
	if err != nil {
		return "", nil, fmt.Errorf("container: run %s: %w", spec.Image, err)
	}
	stop = func() error { return p.Purge(r) }
	if err := r.Expire(lifetime); err != nil {
		_ = stop()
		return "", nil, fmt.Errorf("container: run %s: %w", spec.Image, err)
	}
	addr = r.GetHostPort(port)
	p.MaxWait = time.Minute
	if err := p.Retry(func() error { return ready(addr) }); err != nil {
		_ = stop()
		return "", nil, fmt.Errorf("container: %s at %s: %w", spec.Image, addr, err)
	}
	return addr, stop, nil
}

// Dial is a ready function for services that can be used as soon as their port accepts connections.
func Dial(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}
