package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Server is a server of a test's own.
type Server struct {
	bin, dir string // of the programs, and of everything that belongs to the server
	Port     int
	cmd      *exec.Cmd
	ended    chan struct{}
}

// patience is how long a server may take to start.
const patience = 60 * time.Second

// Start makes a server with default settings, apart from what config adds, and starts it.
func Start(config string) (*Server, error) {
	all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if path, err := exec.LookPath("postgres"); err == nil {
		all = append(all, path)
	}
	if len(all) == 0 {
		return nil, errors.New("no server is installed")
	}
	dir, err := os.MkdirTemp("", "postgres")
	if err != nil {
		return nil, err
	}
	s := &Server{bin: filepath.Dir(all[len(all)-1]), dir: dir}
	if err := s.init(config); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	if err := s.Restart(); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Server) init(config string) error {
	if err := own(s.dir); err != nil {
		return err
	}
	out, err := s.program("initdb", "-D", s.data(), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale", "--no-sync").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Port = l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // a TCP listener has one
	if err := l.Close(); err != nil {
		return err
	}
	settings := fmt.Sprintf("port = %d\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 100\n%s\n", s.Port, config)
	path := filepath.Join(s.data(), "postgresql.auto.conf")
	if err := os.WriteFile(path, []byte(settings), 0o600); err != nil {
		return err
	}
	return own(path)
}

// program is one of the server's.
func (s *Server) program(name string, args ...string) *exec.Cmd {
	return program(filepath.Join(s.bin, name), s.dir, args...)
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// URL is that of its database.
func (s *Server) URL() string {
	return "postgres://postgres@" + net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) + "/postgres?sslmode=disable"
}

// Restart starts the server again, and waits until it takes connections. After Kill the others of its processes may take
// a moment to end, during which a new one refuses to start.
func (s *Server) Restart() error {
	deadline := time.Now().Add(patience)
	for {
		err := s.start(deadline)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-time.After(100 * time.Millisecond)
	}
}

func (s *Server) start(deadline time.Time) error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	s.cmd = s.program("postgres", "-D", s.data())
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	ended, cmd := make(chan struct{}), s.cmd
	s.ended = ended
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	for time.Now().Before(deadline) {
		if answers(s.URL()) {
			return nil
		}
		select {
		case <-ended:
			text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("the server ended: %s", tail(string(text)))
		case <-time.After(50 * time.Millisecond):
		}
	}
	return errors.New("the server does not take connections")
}

// Kill ends the server with -9, and all its processes with it.
func (s *Server) Kill() {
	s.signal("-KILL")
	<-s.ended
}

// Stop ends the server and removes it.
func (s *Server) Stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.signal("-QUIT")
		<-s.ended
	}
	_ = os.RemoveAll(s.dir)
}

// signal sends a signal to the server's first process, as whoever owns it.
func (s *Server) signal(name string) {
	_ = exec.Command("kill", name, strconv.Itoa(s.cmd.Process.Pid)).Run() //nolint:noctx // it takes no time
}

func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(len(lines)-5, 0):], "\n")
}

// LogSize is how long the server's log is, and LogFrom what it says from there on.
func (s *Server) LogSize() int64 {
	info, err := os.Stat(filepath.Join(s.dir, "log"))
	if err != nil {
		return 0
	}
	return info.Size()
}

// LogFrom is what the log says from a position on.
func (s *Server) LogFrom(position int64) string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(text[min(position, int64(len(text))):])
}
