//go:build unix

package queuetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// journal is the file that makes a naive durable: a line per change. A write survives kill -9, which is all that can be
// tested here. Processes that share a journal lock it for each call and read what the others wrote.
type journal struct {
	file   *os.File
	owner  *os.File // nil = shared
	shared bool
	defect defect
	queue  *naive
	offset int64  // up to where the file was read
	unsent []byte // what a defect has not written yet
	err    error  // the first one
}

// change is a line of the journal.
type change struct {
	Op  string
	Seq int64
	PID int    `json:",omitempty"`
	Key string `json:",omitempty"`
	Job *stored
	At  time.Time
	Why string `json:",omitempty"`
	End time.Time
}

// stored is a job as the journal keeps it: the event as bytes.
type stored struct {
	Event                           []byte
	Route, OrderKey                 string
	Generation                      int64
	Enqueued, NotBefore, FirstTried time.Time
	Attempt                         int
	Urgent                          bool
	Headers                         map[string]string
}

// openJournal opens a naive that keeps its jobs in a file.
func openJournal(path string, shared bool, d defect) (*naive, func() error, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, err
	}
	n := newNaive(d)
	n.journal = &journal{file: file, shared: shared, defect: d, queue: n}
	switch d {
	case "forgets at restart":
		n.journal.err = file.Truncate(0)
	case "starts slowly":
		<-time.After(1500 * time.Millisecond)
	}
	if !shared && d != "lets two in" {
		if n.journal.owner, err = own(path); err != nil {
			return nil, nil, errors.Join(err, file.Close())
		}
	}
	n.journal.lock(n)
	n.journal.unlock()
	return n, func() error {
		n.disown()
		n.mu.Lock()
		defer n.mu.Unlock()
		n.closed = true
		return errors.Join(n.journal.err, file.Close())
	}, n.journal.err
}

// own locks a file beside the journal for as long as it is open.
func own(path string) (*os.File, error) {
	file, err := os.OpenFile(path+".owner", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// disown lets another process, or another queue in this one, own the journal.
func (n *naive) disown() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if j := n.journal; j.owner != nil {
		j.keep(j.owner.Close())
		j.owner = nil
	}
}

func (j *journal) lock(n *naive) {
	j.keep(syscall.Flock(int(j.file.Fd()), syscall.LOCK_EX))
	_, err := j.file.Seek(j.offset, io.SeekStart)
	j.keep(err)
	b, err := io.ReadAll(j.file)
	j.keep(err)
	for {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		if !whole {
			break
		}
		var c change
		j.keep(json.Unmarshal(line, &c))
		j.apply(n, c)
		j.offset += int64(len(line)) + 1
		b = rest
	}
	for _, k := range n.jobs { // the dead have no claims
		if k.claimed != 0 && errors.Is(syscall.Kill(k.claimed, 0), syscall.ESRCH) {
			k.claimed = 0
		}
	}
}

func (j *journal) unlock() { j.keep(syscall.Flock(int(j.file.Fd()), syscall.LOCK_UN)) }

func (j *journal) keep(err error) {
	if j.err == nil {
		j.err = err
	}
}

func (j *journal) apply(n *naive, c change) {
	n.seq = max(n.seq, c.Seq)
	at := slices.IndexFunc(n.jobs, func(k *naiveJob) bool { return k.seq == c.Seq })
	switch c.Op {
	case "put":
		job := c.Job.job()
		n.ids[job.ID()] = true
		if n.defect != "forgets facts at restart" {
			n.facts[job.Event.ID()] = job.Event
		}
		switch n.defect {
		case "forgets attempts at restart":
			job.Attempt = 0
		case "forgets urgency at restart":
			job.Urgent = false
		case "forgets keys at restart":
			c.Key = ""
		case "forgets order at restart":
			job.OrderKey = ""
		}
		if at >= 0 {
			n.jobs[at].Job, n.jobs[at].claimed = job, 0
		} else {
			n.jobs = append(n.jobs, &naiveJob{Job: job, seq: c.Seq, key: c.Key, before: true})
		}
	case "claim":
		if at >= 0 && c.PID != os.Getpid() {
			n.jobs[at].claimed = c.PID
		}
	case "remove":
		if at >= 0 {
			n.jobs = slices.Delete(n.jobs, at, at+1)
		}
	case "dead":
		if n.defect == "forgets the dead at restart" {
			return
		}
		n.dead = append(n.dead, queue.DeadLetter{Job: c.Job.job(), Seq: c.Seq, At: c.At, Reason: c.Why})
		n.deadBefore[c.Seq] = true
		if !c.End.IsZero() {
			n.ends[c.Seq] = c.End
		}
	case "raise":
		n.dead = slices.DeleteFunc(n.dead, func(l queue.DeadLetter) bool { return l.Seq == c.Seq })
	}
}

func (j *journal) write(c change) {
	b, err := json.Marshal(c)
	j.keep(err)
	j.unsent = append(append(j.unsent, b...), '\n')
	if j.defect == "acknowledges before it stores" && len(j.unsent) < 1<<14 {
		return
	}
	written, err := j.file.WriteAt(j.unsent, j.offset)
	j.keep(err)
	j.offset += int64(written)
	j.unsent = nil
}

func (j *journal) put(k *naiveJob) {
	j.write(change{Op: "put", Seq: k.seq, Key: k.key, Job: store(k.Job)})
}

func (j *journal) claim(k *naiveJob) { j.write(change{Op: "claim", Seq: k.seq, PID: os.Getpid()}) }

func (j *journal) remove(k *naiveJob) {
	if j.defect != "forgets what is done" && (j.defect != "forgets what was cancelled" || k.key == "") {
		j.write(change{Op: "remove", Seq: k.seq})
	}
}

func (j *journal) markDead(l queue.DeadLetter, ends time.Time) {
	j.write(change{Op: "dead", Seq: l.Seq, Job: store(l.Job), At: l.At, Why: l.Reason, End: ends})
}

func (j *journal) raise(l queue.DeadLetter) {
	if j.defect != "raises the dead again" {
		j.write(change{Op: "raise", Seq: l.Seq})
	}
}

func store(j queue.Job) *stored {
	return &stored{
		Event: j.Event.JSON(), Route: j.Lane, OrderKey: j.OrderKey, Urgent: j.Urgent, Generation: j.Generation, Enqueued: j.Enqueued,
		NotBefore: j.NotBefore, FirstTried: j.FirstTried, Attempt: j.Attempt, Headers: j.Headers,
	}
}

func (s *stored) job() queue.Job {
	e, err := event.Parse(s.Event)
	if err != nil {
		e = fact("unreadable", err.Error()) // the rules see that it is not what was enqueued
	}
	return queue.Job{
		Event: e, Lane: s.Route, OrderKey: s.OrderKey, Urgent: s.Urgent, Generation: s.Generation, Enqueued: s.Enqueued,
		NotBefore: s.NotBefore, FirstTried: s.FirstTried, Attempt: s.Attempt, Headers: s.Headers,
	}
}
