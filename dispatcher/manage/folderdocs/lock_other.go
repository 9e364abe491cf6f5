//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package folderdocs

import (
	"errors"
	"os"
)

// tryLock says that this system has no lock that ends with its process.
func tryLock(*os.File) (bool, error) { return false, errors.ErrUnsupported }
