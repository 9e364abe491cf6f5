// Package natstest runs real NATS servers with JetStream in the test's process, or in a child of it.
package natstest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// patience is how long servers are waited for on a busy machine.
const patience = 60 * time.Second

// Cluster is one server or several that form a cluster, on loopback.
type Cluster struct {
	t    testing.TB
	name string
	dir  string

	mu      sync.Mutex
	nodes   []*server.Server // nil = stopped
	clients []int            // ports
	routes  []int
	change  []func(*server.Options)
}

// New starts n servers and stops them at the end of the test. change, if any, changes their options.
func New(t testing.TB, n int, change ...func(*server.Options)) *Cluster {
	t.Helper()
	c := &Cluster{t: t, dir: t.TempDir(), name: "C" + strconv.FormatInt(time.Now().UnixNano(), 36), change: change}
	c.nodes = make([]*server.Server, n)
	t.Cleanup(c.stopAll)
	for try := 1; ; try++ {
		ports := freePorts(t, 2*n)
		c.clients, c.routes = ports[:n], ports[n:]
		ready := true
		for i := range c.nodes {
			ready = ready && c.start(i)
		}
		if ready {
			break
		}
		if try == 3 {
			t.Fatal("servers are not ready for connections")
		}
		c.stopAll() // another process took a port: the next ones, then
	}
	c.Ready()
	return c
}

func (c *Cluster) stopAll() {
	for i := range c.nodes {
		c.Stop(i)
	}
}

// freePorts finds ports nobody listens at, below those the system gives to connections: a server that is stopped
// must find its port free when it is started again.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	const lowest, count = 10_000, 20_000
	var ports []int
	for range 1000 {
		port := lowest + rand.IntN(count) //nolint:gosec // where to listen in a test is no secret
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		defer func() { _ = l.Close() }() // not before all are found, or one could be found twice
		if ports = append(ports, port); len(ports) == n {
			return ports
		}
	}
	t.Fatal("no free ports")
	return nil
}

func (c *Cluster) options(i int) *server.Options {
	o := &server.Options{
		ServerName: fmt.Sprintf("n%d", i), Host: "127.0.0.1", Port: c.clients[i], NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: filepath.Join(c.dir, strconv.Itoa(i)),
		DisableJetStreamBanner: true,
	}
	if len(c.nodes) > 1 {
		o.Cluster = server.ClusterOpts{Name: c.name, Host: "127.0.0.1", Port: c.routes[i]}
		for _, port := range c.routes {
			o.Routes = append(o.Routes, server.RoutesFromStr(fmt.Sprintf("nats://127.0.0.1:%d", port))...)
		}
	}
	for _, f := range c.change {
		f(o)
	}
	if file := os.Getenv("NATSTEST_LOG"); file != "" {
		o.NoLog, o.LogFile, o.Debug = false, fmt.Sprintf("%s.%s.%d", file, c.name, i), true
	}
	return o
}

// start starts a server and reports whether it listens.
func (c *Cluster) start(i int) bool {
	c.t.Helper()
	s, err := server.NewServer(c.options(i))
	if err != nil {
		c.t.Fatal(err)
	}
	s.ConfigureLogger()
	s.Start()
	c.mu.Lock()
	c.nodes[i] = s
	c.mu.Unlock()
	return s.ReadyForConnections(patience / 4)
}

// Start starts a server that was stopped, at its old address and with its old data, and waits until the cluster is
// ready.
func (c *Cluster) Start(i int) {
	c.t.Helper()
	if !c.start(i) {
		c.t.Fatalf("server %d is not ready for connections", i)
	}
	c.Ready()
}

// Stop stops a server, if it runs, and waits until it has.
func (c *Cluster) Stop(i int) {
	c.mu.Lock()
	s := c.nodes[i]
	c.nodes[i] = nil
	c.mu.Unlock()
	if s != nil {
		s.Shutdown()
		s.WaitForShutdown()
	}
}

// Ready waits until the running servers have a leader and know each other.
func (c *Cluster) Ready() {
	c.t.Helper()
	deadline := time.Now().Add(patience)
	for !c.ready() {
		if time.Now().After(deadline) {
			c.t.Fatal("the cluster does not become ready")
		}
		<-time.After(20 * time.Millisecond)
	}
}

func (c *Cluster) ready() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	running, leader := 0, false
	for _, s := range c.nodes {
		if s != nil {
			running++
		}
	}
	for _, s := range c.nodes {
		if s == nil {
			continue
		}
		if !s.JetStreamEnabled() && c.options(0).JetStream {
			return false
		}
		if len(c.nodes) == 1 {
			return true
		}
		if s.NumRoutes() == 0 || !s.JetStreamIsCurrent() {
			return false
		}
		if s.JetStreamIsLeader() {
			leader = len(s.JetStreamClusterPeers()) >= running
		}
	}
	return leader
}

// URL lists the addresses of all servers, stopped ones included.
func (c *Cluster) URL() string {
	url := ""
	for i := range c.clients {
		if i > 0 {
			url += ","
		}
		url += c.Address(i)
	}
	return url
}

// Address is the address of one server.
func (c *Cluster) Address(i int) string { return fmt.Sprintf("nats://127.0.0.1:%d", c.clients[i]) }

// LeaderOf is the number of the server that leads a stream, or -1.
func (c *Cluster) LeaderOf(stream string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, s := range c.nodes {
		if s != nil && s.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream) {
			return i
		}
	}
	return -1
}

// Connect connects to a URL, reconnects forever, and closes the connection at the end of the test.
func Connect(t testing.TB, url string, more ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := Dial(url, more...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// Dial is Connect for a process that closes the connection itself.
func Dial(url string, more ...nats.Option) (*nats.Conn, error) {
	return nats.Connect(url, append([]nats.Option{
		nats.MaxReconnects(-1), nats.ReconnectWait(50 * time.Millisecond), nats.RetryOnFailedConnect(false), nats.Timeout(10 * time.Second),
	}, more...)...)
}

// State is what a stream holds.
func State(t testing.TB, nc *nats.Conn, stream string) jetstream.StreamState {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State
}
