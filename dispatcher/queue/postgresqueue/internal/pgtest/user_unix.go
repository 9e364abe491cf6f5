//go:build unix

package pgtest

import (
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// account is the user under which a server runs: it refuses to run as root. nil = this one.
func account() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// program is a command that runs as that user.
func program(path, dir string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...) //nolint:noctx // whoever starts it ends it
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: account()}
	return cmd
}

// own gives a file to that user.
func own(path string) error {
	if c := account(); c != nil {
		return os.Chown(path, int(c.Uid), int(c.Gid))
	}
	return nil
}
