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
)

// process is a replica in a process of its own.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr bytes.Buffer
	ended  chan struct{} // closed when it has
	err    error         // how
}

// start starts this very program as a replica, and waits until it delivers.
func start(ctx context.Context, p plan, name string) (*process, error) {
	p.Replica = name
	form, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	child := &process{cmd: exec.CommandContext(ctx, self), ended: make(chan struct{})}
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
	ready := bufio.NewScanner(stdout).Scan()
	go func() {
		defer close(child.ended)
		child.err = child.cmd.Wait()
	}()
	if !ready {
		return nil, child.finish()
	}
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
	if p.err == nil {
		return nil
	}
	return errors.Join(p.err, errors.New(p.stderr.String()))
}
