package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
)

// process is the service in a process of its own.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr bytes.Buffer
	ended  chan struct{} // closed when it has
	err    error         // how

	mu      sync.Mutex
	lines   []string      // what it said
	changed chan struct{} // closed when it says more
}

// start starts this very program as the service.
func start(ctx context.Context, p plan) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	form, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	child := &process{cmd: exec.CommandContext(ctx, self), ended: make(chan struct{}), changed: make(chan struct{})}
	child.cmd.Env = append(os.Environ(), planVariable+"="+string(form))
	child.cmd.Stderr = &child.stderr
	if child.stdin, err = child.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := child.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := child.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(child.ended)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			child.mu.Lock()
			child.lines = append(child.lines, s.Text())
			close(child.changed)
			child.changed = make(chan struct{})
			child.mu.Unlock()
		}
		child.err = child.cmd.Wait()
	}()
	return child, nil
}

// kill ends it with -9, wherever it is.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// finish asks it to stop and waits for its good end.
func (p *process) finish() error {
	_ = p.stdin.Close()
	<-p.ended
	return p.failure()
}

// failure ends it and returns why it failed; nil = it did not.
func (p *process) failure() error {
	p.kill()
	if p.err == nil {
		return nil
	}
	return errors.Join(p.err, errors.New(p.stderr.String()))
}

// wait returns once it has said something.
func (p *process) wait(ctx context.Context, what string) error {
	for {
		p.mu.Lock()
		said, changed := slices.Contains(p.lines, what), p.changed
		p.mu.Unlock()
		if said {
			return nil
		}
		select {
		case <-changed:
		case <-p.ended:
			return errors.New("it has ended")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
