package sqlitequeue

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/stored"
)

// nameLanesByIdentity makes a file of the third schema one of the fourth. There, a lane was named as its route, and a
// "/" said nothing; now it ends the tenant, and comes first in the names of routes without one. Known ids named lanes
// by their numbers, which may be used again now.
func nameLanesByIdentity(c *conn) error {
	names := map[int64]string{}
	err := c.each(func(v []driverValue) bool {
		names[integer(v[0])] = text(v[1])
		return true
	}, "SELECT num, name FROM lane")
	if err != nil {
		return err
	}
	var renamed []int64
	for num, name := range names {
		if strings.Contains(name, "/") {
			names[num] = "/" + name
			renamed = append(renamed, num)
		}
	}
	// The longest first, so that none takes a name that another still has.
	slices.SortFunc(renamed, func(a, b int64) int { return cmp.Compare(len(names[b]), len(names[a])) })
	for _, num := range renamed {
		if _, err := c.exec("UPDATE lane SET name = ? WHERE num = ?", names[num], num); err != nil {
			return err
		}
		if err := nameDeadJobs(c, num, names[num]); err != nil {
			return err
		}
	}
	if _, err := c.exec("UPDATE dead SET ends = died + ?", int64(DefaultDeadAge)); err != nil {
		return err
	}
	return nameKnownLanes(c, names)
}

// nameDeadJobs gives the dead letters of a renamed lane the ids of its jobs.
func nameDeadJobs(c *conn, lane int64, name string) error {
	ids := map[int64]string{}
	err := c.each(func(v []driverValue) bool {
		if e, err := readEvent(integer(v[2]), text(v[3])); err == nil { // one that cannot be read has no id
			ids[integer(v[0])] = queue.Job{Event: e, Lane: name, Generation: integer(v[1])}.ID()
		}
		return true
	}, "SELECT dead.num, generation, format, body FROM dead JOIN event ON event.seq = dead.seq WHERE lane = ?", lane)
	for num, id := range ids {
		if err == nil {
			_, err = c.exec("UPDATE dead SET job = ? WHERE num = ?", id, num)
		}
	}
	return err
}

// nameKnownLanes writes the window of known ids with the keys of lanes.
func nameKnownLanes(c *conn, names map[int64]string) error {
	k := known{seen: map[knownKey]seenEvent{}}
	rows := map[int64][]byte{}
	var bad error
	err := c.each(func(v []driverValue) bool {
		if bad = k.decodeNumbers(integer(v[0]), blob(v[1]), names); bad == nil {
			rows[integer(v[0])] = k.encode(k.batches[len(k.batches)-1].keys)
		}
		return bad == nil
	}, "SELECT num, entries FROM known ORDER BY num")
	if err = errors.Join(err, bad); err != nil {
		return err
	}
	for num, entries := range rows {
		if _, err := c.exec("UPDATE known SET entries = ? WHERE num = ?", entries, num); err != nil {
			return err
		}
	}
	return nil
}

// decodeNumbers takes in a batch of the first form: for each event the key, the digest, the number of lanes, and their
// numbers.
func (k *known) decodeNumbers(num int64, b []byte, names map[int64]string) error {
	if len(b) == 0 || b[0] != 1 {
		return errKnown
	}
	b = b[1:]
	batch := knownBatch{num: num}
	for len(b) > 0 {
		key, s, ok := cutSeen(&b)
		n, ok2 := stored.CutNumber(&b)
		if !ok || !ok2 || n > uint64(len(b)) { // a lane has a byte at least
			return errKnown
		}
		for range n {
			lane, ok := stored.CutNumber(&b)
			if !ok {
				return errKnown
			}
			s.lanes = append(s.lanes, durable.KeyOf(names[int64(lane)]))
		}
		s.batch = num
		k.seen[key] = s
		batch.keys = append(batch.keys, key)
	}
	k.add(batch)
	return nil
}
