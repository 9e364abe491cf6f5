package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// process is the product in a process of its own, which runs this very program.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	alive context.Context // done when it has ended

	// To be read once it has ended.
	err          error
	said, stderr bytes.Buffer
}

// start starts the product. It is killed when ctx is done.
func start(ctx context.Context, p plan) (*process, error) {
	form, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	child := &process{cmd: exec.CommandContext(ctx, os.Args[0])}
	child.cmd.Env = append(os.Environ(), planVariable+"="+string(form))
	child.cmd.Stdout, child.cmd.Stderr = &child.said, &child.stderr
	if child.stdin, err = child.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := child.cmd.Start(); err != nil {
		return nil, err
	}
	alive, ended := context.WithCancel(context.WithoutCancel(ctx))
	child.alive = alive
	go func() {
		child.err = child.cmd.Wait()
		ended()
	}()
	return child, nil
}

// acknowledged is how many events it said were.
func (p *process) acknowledged() (n int) {
	for line := range strings.Lines(p.said.String()) {
		_, _ = fmt.Sscanf(line, "acknowledged %d", &n)
	}
	return n
}

// kill ends it with -9, wherever it is.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.alive.Done()
}

// finish asks it to stop, waits for that, and returns why it failed, if it did.
func (p *process) finish() error {
	_ = p.stdin.Close()
	<-p.alive.Done()
	if p.err != nil {
		return fmt.Errorf("the product: %w\n%s", p.err, &p.stderr)
	}
	return nil
}
