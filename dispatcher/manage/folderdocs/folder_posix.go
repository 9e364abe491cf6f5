//go:build !windows

package folderdocs

import (
	"errors"
	"os"
)

// syncFolder returns once the names in a folder are on the disk.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// rename replaces a file by another one.
func rename(from, to string) error { return os.Rename(from, to) }
