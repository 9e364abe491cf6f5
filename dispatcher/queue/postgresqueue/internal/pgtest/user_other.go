//go:build !unix

package pgtest

import "os/exec"

func program(path, dir string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...) //nolint:noctx // whoever starts it ends it
	cmd.Dir = dir
	return cmd
}

func own(string) error { return nil }
