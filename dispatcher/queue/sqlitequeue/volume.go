package sqlitequeue

import (
	"errors"
	"math"
	"os"
	"path/filepath"
)

// pageSize is that of the file, SQLite's default.
const pageSize = 4096

// Limits of the write-ahead log: after how many pages they are moved to their places. The file is cut to twice that
// when a burst is over.
const (
	mostLogPages  = 4000
	leastLogPages = 64
	// logShare is the part of its volume that the log takes at most: a thirty-second.
	logShare = 32
)

// volume is the disk that the file is on.
type volume struct {
	path     string // of the file
	logPages int64
}

func volumeOf(path string) volume {
	v := volume{path: path, logPages: mostLogPages}
	if total, _, ok := space(filepath.Dir(path)); ok {
		v.logPages = min(max(total/(logShare*pageSize), leastLogPages), mostLogPages)
	}
	return v
}

// logBytes is how large the log may stay.
func (v volume) logBytes() int64 { return 2 * v.logPages * pageSize }

// reserve is what new events leave free: room for the outcomes of those that are there, which free the room of these.
func (v volume) reserve() int64 { return v.logPages * pageSize }

// chunk is how many rows a transaction takes on that has many: each may touch four pages, and all of them must fit into
// the log. work is the same for a commit with many calls.
func (v volume) chunk() int { return min(chunk, int(v.logPages/4)) }
func (v volume) work() int  { return int(v.logPages / 2) }

// errNoRoom says that there is room for outcomes only.
var errNoRoom = errors.New("what is left is kept for the outcomes of deliveries")

// ample is the spare of a disk that is far from full.
const ample = math.MaxInt64

// spare is how many bytes are left once the transaction t has written about so many bytes of new events, the log and
// then the file have taken them, and there is a reserve for outcomes; below 0 they are to be refused. Room inside the
// file, of events that are gone, counts.
func (v volume) spare(t *tx, bytes int64) (int64, error) {
	if t.free == nil {
		free := int64(ample)
		if _, n, ok := space(filepath.Dir(v.path)); ok {
			free = n
		}
		t.free = &free
	}
	added, free := t.added+bytes, *t.free
	if free > 8*v.logBytes()+2*added { // whatever is in the log
		t.added = added
		return ample, nil
	}
	var pages, unused int64
	err := t.each(func(row []driverValue) bool {
		pages, unused = integer(row[0]), integer(row[1])
		return false
	}, "SELECT page_count, freelist_count FROM pragma_page_count, pragma_freelist_count")
	if err != nil {
		return 0, err
	}
	room := free + sizeOf(v.path) + sizeOf(v.path+"-wal")
	need := pages*pageSize + max(added+v.reserve()-unused*pageSize, 0) + v.logBytes() + added
	if room >= need {
		t.added = added
	}
	return room - need, nil
}

func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// chunk is how many jobs, dead letters or entries a transaction takes on that has many, at most: others come in
// between.
const chunk = 1000
