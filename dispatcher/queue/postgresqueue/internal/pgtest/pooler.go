package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// Pooler is pgbouncer in transaction mode in front of a server.
type Pooler struct {
	url string
	cmd *exec.Cmd
	dir string
}

// ErrNoPooler says that pgbouncer is not installed.
var ErrNoPooler = errors.New("pgbouncer is not installed: apt-get install pgbouncer")

// NewPooler starts a pooler in front of the server of a URL. It has few connections for many clients, so that a client
// gets another one for each transaction.
func NewPooler(to string) (*Pooler, error) {
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/pgbouncer"); err != nil {
			return nil, ErrNoPooler
		}
	}
	config, err := pgx.ParseConfig(to)
	if err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // a TCP listener has one
	if err := l.Close(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pgbouncer")
	if err != nil {
		return nil, err
	}
	users := filepath.Join(dir, "users")
	settings := fmt.Sprintf(`[databases]
* = host=%s port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = transaction
max_client_conn = 500
default_pool_size = 20
ignore_startup_parameters = extra_float_digits
`, config.Host, config.Port, port, users)
	err = errors.Join(
		os.WriteFile(users, []byte(fmt.Sprintf("%q %q\n", config.User, config.Password)), 0o600),
		os.WriteFile(filepath.Join(dir, "config"), []byte(settings), 0o600),
	)
	for _, name := range []string{"", "users", "config"} {
		err = errors.Join(err, own(filepath.Join(dir, name)))
	}
	if err != nil {
		return nil, err
	}
	p := &Pooler{cmd: program(path, dir, filepath.Join(dir, "config")), dir: dir}
	u, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	u.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	p.url = u.String()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(patience); !answers(p.url); {
		if time.Now().After(deadline) {
			p.Stop()
			return nil, errors.New("pgbouncer does not take connections")
		}
		<-time.After(50 * time.Millisecond)
	}
	return p, nil
}

// URL is that of the pooler.
func (p *Pooler) URL() string { return p.url }

// Stop ends the pooler.
func (p *Pooler) Stop() {
	_ = exec.Command("kill", "-QUIT", strconv.Itoa(p.cmd.Process.Pid)).Run() //nolint:noctx // it takes no time
	_ = p.cmd.Wait()
	_ = os.RemoveAll(p.dir)
}
