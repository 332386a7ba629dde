package testkit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/madbase/madbase/platform/testkit/container"
	"github.com/madbase/madbase/platform/testkit/leash"
)

// redisDatabases is how many databases a private server has, so that each test can have one.
const redisDatabases = 4096

// imitationQuery keeps clients from what the imitation cannot do: RESP3 publishing and client-side caching.
const imitationQuery = "?protocol=2&client_cache=0"

var sharedRedis = sync.OnceValues(func() (*Service, error) { return StartRedis(context.Background()) })

// Redis returns the redis:// URL of an empty Redis database for this test. Channels of PUBLISH are not bound to databases, so tests that
// publish in parallel choose their channel names themselves.
func Redis(t testing.TB) string {
	t.Helper()
	s, err := sharedRedis()
	need(t, "Redis", s, err)
	u, err := redisDatabase(s.URL)
	if err != nil {
		t.Fatalf("testkit: Redis at %s: %v", s.URL, err)
	}
	return u
}

// StartRedis returns the Redis to use, starting one where no environment variable names it.
func StartRedis(ctx context.Context) (*Service, error) {
	if u := os.Getenv(RedisVariable); u != "" {
		return &Service{URL: u, Origin: RedisVariable, Imitation: strings.HasSuffix(u, imitationQuery)}, redisAnswers(u)
	}
	s, localErr := localRedis(ctx)
	if localErr == nil {
		return s, nil
	}
	addr, stop, dockerErr := container.Run(ctx, container.Spec{
		Image: "redis", Tag: "7-alpine", Port: "6379",
		Cmd: []string{"redis-server", "--save", "", "--databases", strconv.Itoa(redisDatabases)},
	}, func(addr string) error { return redisAnswers("redis://" + addr) })
	if dockerErr == nil {
		return &Service{URL: "redis://" + addr, Origin: "a container of redis:7-alpine", stop: stop}, nil
	}
	why := errors.Join(localErr, dockerErr)
	if inCI() {
		return nil, why
	}
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		return nil, errors.Join(why, err)
	}
	return &Service{
		URL: "redis://" + m.Addr() + "/" + imitationQuery, Imitation: true,
		Origin: "an imitation in process, miniredis (install redis-server for the real one)",
		stop:   func() error { m.Close(); return nil },
	}, nil
}

// localRedis starts redis-server without any files.
func localRedis(ctx context.Context) (*Service, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("testkit: %w", err)
	}
	addr, port, err := freeAddr()
	if err != nil {
		return nil, fmt.Errorf("testkit: %w", err)
	}
	p, err := leash.Start(path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--databases", strconv.Itoa(redisDatabases), "--dir", "{dir}")
	if err != nil {
		return nil, fmt.Errorf("testkit: %w", err)
	}
	u := "redis://" + addr
	if err := await(ctx, func() error { return redisAnswers(u) }); err != nil {
		err = fmt.Errorf("testkit: redis-server: %w: %s", err, p.Output())
		return nil, errors.Join(err, p.Stop())
	}
	return &Service{URL: u, Origin: path, stop: p.Stop}, nil
}

func redisAnswers(server string) error {
	_, err := redisDo(server, "PING")
	return err
}

// redisDatabase takes the next database of the server, or the one of its URL where the server has only the usual few.
func redisDatabase(server string) (string, error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", err
	}
	u.Path = ""
	reply, err := redisDo(u.String(), "INCR madbase:testkit:databases")
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(strings.TrimPrefix(reply, ":"))
	if err != nil {
		return "", fmt.Errorf("reply %q: %w", reply, err)
	}
	u.Path = "/" + strconv.Itoa(1+n%(redisDatabases-1))
	if _, err := redisDo(u.String(), "FLUSHDB"); err != nil {
		return server, nil
	}
	return u.String(), nil
}

// redisDo sends one command to the database of the URL and returns the first line of the reply. It talks by hand what takes three lines,
// so that a client library under test is not the one to prepare its own test.
func redisDo(server, command string) (string, error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", err
	}
	conn, err := net.DialTimeout("tcp", u.Host, time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return "", err
	}
	in := bufio.NewReader(conn)
	commands := []string{command}
	if db := strings.Trim(u.Path, "/"); db != "" {
		commands = []string{"SELECT " + db, command}
	}
	if pw, ok := u.User.Password(); ok {
		commands = append([]string{strings.TrimSpace("AUTH "+u.User.Username()) + " " + pw}, commands...)
	}
	reply := ""
	var buf bytes.Buffer
	for _, c := range commands {
		words := strings.Fields(c)
		fmt.Fprintf(&buf, "*%d\r\n", len(words))
		for _, w := range words {
			fmt.Fprintf(&buf, "$%d\r\n%s\r\n", len(w), w)
		}
		if _, err := buf.WriteTo(conn); err != nil {
			return "", err
		}
		if reply, err = in.ReadString('\n'); err != nil {
			return "", err
		}
		reply = strings.TrimSpace(reply)
		if strings.HasPrefix(reply, "-") {
			return "", errors.New(reply[1:])
		}
	}
	return reply, nil
}
