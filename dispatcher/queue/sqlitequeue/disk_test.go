package sqlitequeue

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// This file puts a witness between SQLite and the operating system: a VFS that passes everything on and count which
// writes were followed by a sync. What was not would be lost with the power.

// witnessed is the state of all files opened through the witness. SQLite knows one VFS per name and process, so it is
// one for all tests; they tell their files apart by path.
var witnessed = &witness{files: map[string]*platter{}, open: map[uintptr]*opened{}}

type witness struct {
	once sync.Once
	mu   sync.Mutex
	real uintptr // the VFS of the operating system

	files map[string]*platter
	open  map[uintptr]*opened // by sqlite3_file
}

// platter is what a file is sure to have after a power cut, and what was written since.
type platter struct {
	safe    []byte
	pending []write
	syncs   int
}

// write is data at an offset, or a new size when data is nil.
type write struct {
	at   int64
	data []byte
}

type opened struct {
	methods uintptr // the operating system's
	file    *platter
}

// parameters makes SQLite open files through the witness.
func (w *witness) parameters(t *testing.T) url.Values {
	t.Helper()
	w.once.Do(func() {
		tls := libc.NewTLS()
		defer tls.Close()
		w.real = sqlite3.Xsqlite3_vfs_find(tls, 0)
		name, err := libc.CString("witness")
		require.NoError(t, err)
		mine := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(sqlite3.Tsqlite3_vfs{})))
		vfs := at[sqlite3.Tsqlite3_vfs](mine)
		*vfs = *at[sqlite3.Tsqlite3_vfs](w.real)
		vfs.FpNext, vfs.FzName, vfs.FxOpen = 0, name, pointer(witnessOpen)
		require.Zero(t, sqlite3.Xsqlite3_vfs_register(tls, mine, 0))
	})
	return url.Values{"vfs": {"witness"}}
}

// at is the C value at an address.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

// pointer makes a function of the package one that C can call, callable the other way round.
func pointer[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

func callable[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&struct{ uintptr }{p})) }

type (
	openFunc     = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32
	writeFunc    = func(tls *libc.TLS, file, data uintptr, size int32, offset int64) int32
	truncateFunc = func(tls *libc.TLS, file uintptr, size int64) int32
	syncFunc     = func(tls *libc.TLS, file uintptr, flags int32) int32
	closeFunc    = func(tls *libc.TLS, file uintptr) int32
)

func witnessOpen(tls *libc.TLS, _, name, file uintptr, flags int32, out uintptr) int32 {
	w := witnessed
	rc := callable[openFunc](at[sqlite3.Tsqlite3_vfs](w.real).FxOpen)(tls, w.real, name, file, flags, out)
	if rc != sqlite3.SQLITE_OK || name == 0 {
		return rc
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	f := at[sqlite3.Tsqlite3_file](file)
	path := libc.GoString(name)
	if w.files[path] == nil {
		w.files[path] = &platter{}
	}
	w.open[file] = &opened{methods: f.FpMethods, file: w.files[path]}
	mine := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(sqlite3.Tsqlite3_io_methods{})))
	methods := at[sqlite3.Tsqlite3_io_methods](mine)
	*methods = *at[sqlite3.Tsqlite3_io_methods](f.FpMethods)
	methods.FxWrite, methods.FxTruncate = pointer(witnessWrite), pointer(witnessTruncate)
	methods.FxSync, methods.FxClose = pointer(witnessSync), pointer(witnessClose)
	f.FpMethods = mine
	return rc
}

func (w *witness) methods(file uintptr) *sqlite3.Tsqlite3_io_methods {
	w.mu.Lock()
	defer w.mu.Unlock()
	return at[sqlite3.Tsqlite3_io_methods](w.open[file].methods)
}

// note records an operation that is about to happen or, for a sync, that has happened: a cut in between may lose more
// than it would in reality, never less.
func (w *witness) note(file uintptr, f func(p *platter)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w.open[file].file)
}

func witnessWrite(tls *libc.TLS, file, data uintptr, size int32, offset int64) int32 {
	copied := append([]byte{}, unsafe.Slice(at[byte](data), size)...)
	witnessed.note(file, func(p *platter) { p.pending = append(p.pending, write{offset, copied}) })
	return callable[writeFunc](witnessed.methods(file).FxWrite)(tls, file, data, size, offset)
}

func witnessTruncate(tls *libc.TLS, file uintptr, size int64) int32 {
	witnessed.note(file, func(p *platter) { p.pending = append(p.pending, write{at: size}) })
	return callable[truncateFunc](witnessed.methods(file).FxTruncate)(tls, file, size)
}

func witnessSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	rc := callable[syncFunc](witnessed.methods(file).FxSync)(tls, file, flags)
	if rc == sqlite3.SQLITE_OK {
		witnessed.note(file, func(p *platter) {
			p.syncs++
			for _, w := range p.pending {
				p.safe = w.apply(p.safe)
			}
			p.pending = nil
		})
	}
	return rc
}

func witnessClose(tls *libc.TLS, file uintptr) int32 {
	methods := witnessed.methods(file)
	libc.Xfree(tls, at[sqlite3.Tsqlite3_file](file).FpMethods)
	witnessed.mu.Lock()
	at[sqlite3.Tsqlite3_file](file).FpMethods = witnessed.open[file].methods
	delete(witnessed.open, file)
	witnessed.mu.Unlock()
	return callable[closeFunc](methods.FxClose)(tls, file)
}

func (w write) apply(b []byte) []byte {
	end := w.at + int64(len(w.data))
	if w.data == nil && int64(len(b)) > w.at {
		return b[:w.at]
	}
	if grow := end - int64(len(b)); grow > 0 {
		b = append(b, make([]byte, grow)...)
	}
	copy(b[w.at:], w.data)
	return b
}

func (w *witness) syncs(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.files[path].syncs
}

// powerCut copies what is safe of a queue's files into a new folder. Of what was written since the last sync, torn says
// how many writes arrived all the same, and half of the next one.
func (w *witness) powerCut(t *testing.T, path string, torn int) string {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	folder := t.TempDir()
	for name, p := range w.files {
		suffix, ok := strings.CutPrefix(name, path)
		if !ok || suffix != "" && suffix != "-wal" {
			continue
		}
		b := append([]byte{}, p.safe...)
		if suffix == "-wal" && torn > 0 {
			for n, w := range p.pending {
				if n == torn {
					w.data = w.data[:len(w.data)/2]
				}
				if n > torn {
					break
				}
				b = w.apply(b)
			}
		}
		require.NoError(t, os.WriteFile(filepath.Join(folder, "queue.db"+suffix), b, 0o600))
	}
	return filepath.Join(folder, "queue.db")
}

// TestTheWitnessSeesWhatASyncMakesSafe keeps the tests that rely on it honest: with synchronous=OFF nothing is.
func TestTheWitnessSeesWhatASyncMakesSafe(t *testing.T) {
	for _, mode := range []string{"OFF", "FULL"} {
		path := filepath.Join(t.TempDir(), "file.db")
		c, err := connect(t.Context(), dsn(path, witnessed.parameters(t)))
		require.NoError(t, err)
		require.NoError(t, setWAL(c, volumeOf(path)))
		require.NoError(t, c.script("PRAGMA synchronous = FULL; CREATE TABLE t (n INTEGER)"))
		require.NoError(t, c.script(fmt.Sprintf("PRAGMA synchronous = %s; INSERT INTO t VALUES (7)", mode)))
		copied, err := connect(t.Context(), dsn(witnessed.powerCut(t, path, 0), url.Values{}))
		require.NoError(t, err)
		n, err := copied.number("SELECT count(*) FROM t")
		require.NoError(t, err)
		assert.Equal(t, map[string]int64{"OFF": 0, "FULL": 1}[mode], n, mode)
		require.NoError(t, copied.close())
		require.NoError(t, c.close())
	}
}
