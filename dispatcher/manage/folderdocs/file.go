package folderdocs

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

// header is the first line of a file, as JSON. The content follows as it is.
type header struct {
	Version  int             `json:"tocsin_document"`
	Tenant   []byte          `json:"tenant"` // in base64: it may be any bytes
	Revision manage.Revision `json:"revision"`
	Deleted  bool            `json:"deleted,omitempty"` // nothing follows; the revision goes on from here
}

const (
	fileVersion = 1
	maxHeader   = 1024 // bytes of a first line
)

// FileError says that a file of the folder cannot be read as a document. It was left as it is.
type FileError struct {
	File    string // its name in the folder
	Problem string
}

func (e *FileError) Error() string {
	return fmt.Sprintf("folderdocs: file %s %s: restore it from a backup, or remove it to remove the document", e.File, e.Problem)
}

// readHeader reads the first line.
func readHeader(r *bufio.Reader, name string) (header, error) {
	line, err := r.ReadSlice('\n')
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return header{}, err
	}
	var h header
	switch {
	case err != nil || json.Unmarshal(line, &h) != nil || h.Version < 1:
		return header{}, &FileError{File: name, Problem: "does not begin as a document does"}
	case h.Version > fileVersion:
		return header{}, &FileError{File: name, Problem: fmt.Sprintf("has version %d, and this program knows %d", h.Version, fileVersion)}
	case nameOf(string(h.Tenant)) != name:
		return header{}, &FileError{File: name, Problem: "is that of another tenant by its first line"}
	}
	return h, nil
}

// head reads who has the document of a file, and which; ok is false when the file is not there.
func (s *Store) head(name string) (h header, ok bool, err error) {
	f, err := os.Open(filepath.Join(s.path, name))
	if errors.Is(err, os.ErrNotExist) {
		return header{}, false, nil
	}
	if err != nil {
		return header{}, false, err
	}
	defer func() { _ = f.Close() }() // only read
	h, err = readHeader(bufio.NewReaderSize(f, maxHeader), name)
	return h, err == nil, err
}

// read reads a document; ok is false when there is none.
func (s *Store) read(tenant string) (r manage.Record, ok bool, err error) {
	name := nameOf(tenant)
	f, err := os.Open(filepath.Join(s.path, name))
	if errors.Is(err, os.ErrNotExist) {
		return r, false, nil
	}
	if err != nil {
		return r, false, err
	}
	defer func() { _ = f.Close() }() // only read
	b := bufio.NewReaderSize(f, maxHeader)
	h, err := readHeader(b, name)
	if err != nil || h.Deleted {
		return r, false, err
	}
	content, err := io.ReadAll(io.LimitReader(b, manage.MaxContent+1))
	if err == nil && len(content) > manage.MaxContent {
		err = &FileError{File: name, Problem: "is larger than a document can be"}
	}
	return manage.Record{Revision: h.Revision, Content: content}, err == nil, err
}

// write replaces the file of a document, so that after a crash it is the old one or the new one.
func (s *Store) write(h header, content []byte) error {
	h.Version = fileVersion
	line, err := json.Marshal(h)
	if err != nil {
		return manage.Unchanged(err)
	}
	temporary := filepath.Join(s.path, temporaryPrefix+rand.Text())
	if err := writeSynced(temporary, append(line, '\n'), content); err != nil {
		_ = os.Remove(temporary) // the first error is the one that counts
		return manage.Unchanged(err)
	}
	if err := rename(temporary, filepath.Join(s.path, nameOf(string(h.Tenant)))); err != nil {
		_ = os.Remove(temporary)
		return err
	}
	return syncFolder(s.path)
}

// temporaryPrefix begins the names of files that are being written.
const temporaryPrefix = "tmp-"

// writeSynced returns once the parts are on the disk.
func writeSynced(path string, parts ...[]byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
	}()
	for _, part := range parts {
		if _, err := f.Write(part); err != nil {
			return err
		}
	}
	return f.Sync()
}
