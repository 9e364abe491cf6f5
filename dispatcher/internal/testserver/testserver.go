// Package testserver finds or starts the database servers that tests of nested modules need. It imports no driver.
package testserver

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Server is a kind of server, and the one that was found or started in this process. Safe for concurrent use.
type Server struct {
	name     string   // for people
	variable string   // of the environment: the address of one that runs
	usual    []string // addresses to try
	install  string   // how to get it
	start    func(testing.TB, *instance) (address string, err error)

	mu      sync.Mutex
	address string
	own     *instance
}

// PostgreSQL is a server of that kind: TOCSIN_POSTGRESQL is the URL of a database in which a test may make schemas and
// roles.
func PostgreSQL() *Server {
	return &Server{
		name: "PostgreSQL", variable: "TOCSIN_POSTGRESQL", install: "install the package postgresql",
		usual: []string{"postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable"},
		start: startPostgreSQL,
	}
}

// MariaDB is a server of that kind: TOCSIN_MYSQL is the data source name, in the form of go-sql-driver/mysql and
// without a database, of a user who may make databases. MySQL will do.
func MariaDB() *Server {
	return &Server{
		name: "MariaDB", variable: "TOCSIN_MYSQL", install: "install the package mariadb-server",
		usual: []string{"root@tcp(127.0.0.1:3306)/"},
		start: startMariaDB,
	}
}

// Address returns that of a server that answers to ping: the one of the variable, the usual one on loopback, or one
// that is started from what is installed and runs until Stop. Without any, the test is skipped.
func (s *Server) Address(tb testing.TB, ping func(address string) error) string {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.address != "" {
		return s.address
	}
	if set := os.Getenv(s.variable); set != "" {
		if err := ping(set); err != nil {
			tb.Fatalf("%s of %s does not answer: %v", s.name, s.variable, err)
		}
		s.address = set
		return set
	}
	for _, address := range s.usual {
		if ping(address) == nil {
			s.address = address
			return address
		}
	}
	s.own = &instance{}
	address, err := s.start(tb, s.own)
	if errors.Is(err, exec.ErrNotFound) {
		tb.Skipf("needs %s: %s, or set %s to the address of one", s.name, s.install, s.variable)
	}
	if err == nil {
		err = s.own.wait(func() error { return ping(address) })
	}
	if err != nil {
		s.own.stop()
		tb.Fatalf("start %s: %v", s.name, err)
	}
	s.address = address
	return address
}

// Stop stops the server if it was started here.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own != nil {
		s.own.stop()
	}
	s.own, s.address = nil, ""
}

// instance is a server that was started here.
type instance struct {
	account string // that it runs under if this process runs as root
	folder  string // of its data
	port    int
	cmd     *exec.Cmd
	output  output
	ended   chan struct{} // closed when it has; nil = it was not started
}

// output is what a server prints. Safe for concurrent use.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

const startTime = time.Minute

// wait returns once ready does not fail any more.
func (i *instance) wait(ready func() error) error {
	deadline := time.After(startTime)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-i.ended:
			return fmt.Errorf("it ended: %s", i.output.String())
		case <-deadline:
			return fmt.Errorf("it does not answer: %w", err)
		}
	}
}

func (i *instance) stop() {
	if i.ended != nil {
		_ = i.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-i.ended:
		case <-time.After(10 * time.Second):
			_ = i.cmd.Process.Kill()
			<-i.ended
		}
	}
	_ = os.RemoveAll(i.folder)
}

// run starts the server in the background.
func (i *instance) run(program string, args ...string) error {
	cmd := i.command(program, args...)
	cmd.Stdout, cmd.Stderr = &i.output, &i.output
	if err := cmd.Start(); err != nil {
		return err
	}
	i.cmd, i.ended = cmd, make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(i.ended)
	}()
	return nil
}

// prepare chooses a port and makes the folder of the data, which belongs to account.
func (i *instance) prepare(account string) error {
	var err error
	i.account = account
	if i.port, err = freePort(); err != nil {
		return err
	}
	if i.folder, err = os.MkdirTemp("", "testserver"); err != nil || os.Getuid() != 0 {
		return err
	}
	owner, err := user.Lookup(account)
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err != nil {
		return err
	}
	return os.Chown(i.folder, uid, -1)
}

// command makes a command that runs under the account if this process runs as root, which the servers refuse to.
func (i *instance) command(program string, args ...string) *exec.Cmd {
	if os.Getuid() == 0 {
		args = append([]string{"--reuid", i.account, "--regid", i.account, "--clear-groups", program}, args...)
		program = "setpriv"
	}
	return exec.CommandContext(context.Background(), program, args...) // stopped by Stop
}

// find returns the path of a program, in PATH or where patterns lead, the newest version of several.
func find(name string, patterns ...string) (string, error) {
	for _, pattern := range patterns {
		if found, _ := filepath.Glob(filepath.Join(pattern, name)); len(found) > 0 {
			return slices.Max(found), nil
		}
	}
	return exec.LookPath(name)
}

func freePort() (int, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func startPostgreSQL(_ testing.TB, i *instance) (string, error) {
	p := &OwnPostgreSQL{instance: i}
	if err := p.init(nil); err != nil {
		return "", err
	}
	return p.Address(), p.start()
}

// OwnPostgreSQL is a PostgreSQL server that belongs to one test.
type OwnPostgreSQL struct {
	ping     func(address string) error
	instance *instance
	program  string
	args     []string
}

// StartPostgreSQL starts a server with settings of its own, "name=value" each, which runs until the test has ended. The
// test is skipped if none is installed. ping is as for Server.Address.
func StartPostgreSQL(tb testing.TB, ping func(address string) error, settings ...string) *OwnPostgreSQL {
	tb.Helper()
	p := &OwnPostgreSQL{ping: ping, instance: &instance{}}
	tb.Cleanup(func() { p.instance.stop() })
	err := p.init(settings)
	if errors.Is(err, exec.ErrNotFound) {
		tb.Skip("needs PostgreSQL: install the package postgresql")
	}
	if err != nil {
		tb.Fatalf("start PostgreSQL: %v", err)
	}
	p.Start(tb)
	return p
}

// Address is that of a database in which the test may do anything. It stays the same.
func (p *OwnPostgreSQL) Address() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", p.instance.port)
}

// Log is what the server has printed.
func (p *OwnPostgreSQL) Log() string { return p.instance.output.String() }

// Kill ends the server as kill -9 does.
func (p *OwnPostgreSQL) Kill() {
	_ = p.instance.cmd.Process.Kill()
	<-p.instance.ended
}

// Start starts the server again after Kill, and waits until it answers. It refuses to start while others of its
// processes have not noticed yet that the first is gone.
func (p *OwnPostgreSQL) Start(tb testing.TB) {
	tb.Helper()
	deadline := time.Now().Add(startTime)
	for {
		err := p.start()
		if err == nil {
			err = p.instance.wait(func() error { return p.ping(p.Address()) })
		}
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("start PostgreSQL: %v", err)
		}
		<-time.After(100 * time.Millisecond)
	}
}

// init makes the data of a server.
func (p *OwnPostgreSQL) init(settings []string) error {
	initdb, err := find("initdb", "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
	if err != nil {
		return err
	}
	i := p.instance
	if err := i.prepare("postgres"); err != nil {
		return err
	}
	data := filepath.Join(i.folder, "data")
	if out, err := i.command(initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C").CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	p.program = filepath.Join(filepath.Dir(initdb), "postgres")
	p.args = []string{"-D", data, "-p", strconv.Itoa(i.port)}
	for _, setting := range append([]string{
		"listen_addresses=127.0.0.1", "unix_socket_directories=" + i.folder, "max_connections=200",
	}, settings...) {
		p.args = append(p.args, "-c", setting)
	}
	return nil
}

func (p *OwnPostgreSQL) start() error { return p.instance.run(p.program, p.args...) }

func startMariaDB(_ testing.TB, i *instance) (string, error) {
	server, err := find("mariadbd", "/usr/sbin", "/usr/libexec")
	if err != nil {
		return "", err
	}
	install, err := find("mariadb-install-db", "/usr/bin")
	if err != nil {
		return "", err
	}
	if err := i.prepare("mysql"); err != nil {
		return "", err
	}
	data := filepath.Join(i.folder, "data")
	if out, err := i.command(install, "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal").
		CombinedOutput(); err != nil {
		return "", fmt.Errorf("mariadb-install-db: %w: %s", err, out)
	}
	err = i.run(server, "--no-defaults", "--datadir="+data, "--bind-address=127.0.0.1", "--port="+strconv.Itoa(i.port),
		"--socket="+filepath.Join(i.folder, "socket"), "--pid-file="+filepath.Join(i.folder, "pid"))
	return fmt.Sprintf("root@tcp(127.0.0.1:%d)/", i.port), err
}

// PgBouncer is a pooler in transaction mode in front of the PostgreSQL whose URL upstream returns: TOCSIN_PGBOUNCER is
// the URL of one that runs.
func PgBouncer(upstream func(testing.TB) string) *Server {
	return &Server{
		name: "PgBouncer", variable: "TOCSIN_PGBOUNCER", install: "install the package pgbouncer",
		start: func(tb testing.TB, i *instance) (string, error) { return startPgBouncer(i, upstream(tb)) },
	}
}

func startPgBouncer(i *instance, upstream string) (string, error) {
	program, err := find("pgbouncer", "/usr/sbin")
	if err != nil {
		return "", err
	}
	server, err := url.Parse(upstream)
	if err != nil {
		return "", err
	}
	if err := i.prepare("postgres"); err != nil {
		return "", err
	}
	settings := filepath.Join(i.folder, "pgbouncer.ini")
	if err := os.WriteFile(settings, fmt.Appendf(nil, `[databases]
* = host=%s port=%s user=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 20
max_client_conn = 500
`, server.Hostname(), cmp.Or(server.Port(), "5432"), server.User.Username(), i.port), 0o644); err != nil {
		return "", err
	}
	address := *server
	address.Host = fmt.Sprintf("127.0.0.1:%d", i.port)
	return address.String(), i.run(program, settings)
}
