package embeddedpg

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
)

// address is where the server listens: always on a socket in dir, and on 127.0.0.1 when the port could be had.
type address struct {
	dir  string
	port int
	tcp  bool
}

// DefaultPort is the port of a private cluster unless MADBASE_PG_PORT says otherwise.
const DefaultPort = 54322

// maxSocketPath is what the strictest system (macOS) allows for a socket's path, less the terminating zero.
const maxSocketPath = 103

func (a address) listen() string {
	if a.tcp {
		return "127.0.0.1"
	}
	return ""
}

// chooseAddress settles port and socket folder. It is decided once per Start, so that the URL outlives a restart of postgres.
func (c *Cluster) chooseAddress() (address, error) {
	dir, err := c.socketDir()
	if err != nil {
		return address{}, err
	}
	a := address{dir: dir, port: c.cfg.Port, tcp: true}
	if a.port == 0 {
		if a.port, err = freePort(); err != nil {
			return address{}, fmt.Errorf("embeddedpg: free port: %w", err)
		}
		return a, nil
	}
	// An orphan of our own may hold the port; launch stops orphans anyway, so do it before looking.
	if err := c.reap(c.place.pgdata()); err != nil {
		return address{}, err
	}
	if !portFree(a.port) {
		c.addr = a
		c.giveUpPort()
		return c.addr, nil
	}
	return a, nil
}

// giveUpPort leaves only the unix socket.
func (c *Cluster) giveUpPort() {
	c.addr.tcp = false
	c.log.Warn("the port of the private PostgreSQL is in use by another program, using only its unix socket; MADBASE_PG_PORT chooses another port",
		"port", c.addr.port, "socket_dir", c.addr.dir)
}

// socketDir is STATE/run, or a folder of the temporary one when that path would be too long for a socket.
func (c *Cluster) socketDir() (string, error) {
	dir := filepath.Join(c.place.state, "run")
	if len(filepath.Join(dir, ".s.PGSQL.65535.lock")) > maxSocketPath {
		sum := sha256.Sum256([]byte(c.place.state))
		dir = filepath.Join(os.TempDir(), "madbase-"+hex.EncodeToString(sum[:6]))
		// Anyone may have put something there before us: only a folder of postgres' user is trusted with its socket.
		if err := os.Mkdir(dir, 0o700); err != nil {
			if !os.IsExist(err) {
				return "", fmt.Errorf("embeddedpg: socket folder: %w", err)
			}
			if err := c.place.owner.owns(dir); err != nil {
				return "", fmt.Errorf("embeddedpg: socket folder: %w", err)
			}
		}
	}
	if err := c.place.owner.mkdir(dir); err != nil {
		return "", fmt.Errorf("embeddedpg: socket folder: %w", err)
	}
	return dir, nil
}

// dropSocketDir removes a socket folder outside the state folder, where nobody else would.
func (c *Cluster) dropSocketDir() {
	if filepath.Dir(c.addr.dir) != c.place.state {
		_ = os.Remove(c.addr.dir) // stays when it is not empty
	}
}

// url is the owner's connection URL, by TCP or else by the unix socket.
func (c *Cluster) url(tcp bool) string {
	u := url.URL{Scheme: "postgresql", User: url.UserPassword(Role, c.password), Path: "/" + Database}
	q := url.Values{}
	if tcp {
		u.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(c.addr.port))
		q.Set("sslmode", "disable")
	} else {
		q.Set("host", c.addr.dir)
		q.Set("port", strconv.Itoa(c.addr.port))
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// portFree tells whether 127.0.0.1:port can be listened on now.
func portFree(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// freePort asks the system for a port that nobody uses.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}
