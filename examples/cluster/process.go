package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// roleVariable makes this program a server or a worker: it starts itself again.
const roleVariable = "TOCSIN_CLUSTER_ROLE"

// child plays the part this process was started for, if any.
func child() bool {
	role := strings.Fields(os.Getenv(roleVariable))
	if len(role) == 0 {
		return false
	}
	play := map[string]func([]string) error{"node": node, "worker": worker}[role[0]]
	if err := play(role[1:]); err != nil {
		fmt.Println("failed:", err)
	}
	return true
}

func ready() { fmt.Println("ready") }

// parent returns when the process that started this one has gone or wants it to.
func parent() { _, _ = io.Copy(io.Discard, os.Stdin) }

// process is a child.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	once  sync.Once
}

// start starts a child and waits until it says that it is ready.
func start(ctx context.Context, role ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), roleVariable+"="+strings.Join(role, " "))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, stdin: stdin}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); strings.TrimSpace(line) != "ready" {
		p.kill()
		return nil, fmt.Errorf("%s: %s %w", role[0], strings.TrimSpace(line), err)
	}
	return p, nil
}

// kill ends the child with -9.
func (p *process) kill() {
	p.once.Do(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
}

// stop lets the child end by itself.
func (p *process) stop() {
	p.once.Do(func() {
		_ = p.stdin.Close()
		_ = p.cmd.Wait()
	})
}

func stopAll(all []*process) {
	var wg sync.WaitGroup
	for _, p := range all {
		if p != nil {
			wg.Go(p.stop)
		}
	}
	wg.Wait()
}

// startAll starts children side by side.
func startAll(n int, one func(i int) (*process, error)) ([]*process, error) {
	all, errs := make([]*process, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { all[i], errs[i] = one(i) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// startNodes starts the servers and returns where clients find them.
func startNodes(ctx context.Context, dir string) ([]*process, string, error) {
	ports, err := freePorts(2 * nodes)
	if err != nil {
		return nil, "", err
	}
	clients, routePorts := strings.Join(ports[:nodes], ","), strings.Join(ports[nodes:], ",")
	all, err := startAll(nodes, func(i int) (*process, error) {
		return start(ctx, "node", strconv.Itoa(i), clients, routePorts, filepath.Join(dir, strconv.Itoa(i)))
	})
	urls := make([]string, nodes)
	for i := range urls {
		urls[i] = "nats://127.0.0.1:" + ports[i]
	}
	return all, strings.Join(urls, ","), err
}

func startWorkers(ctx context.Context, urls, receiver string) ([]*process, error) {
	return startAll(workers, func(int) (*process, error) { return start(ctx, "worker", urls, receiver) })
}
