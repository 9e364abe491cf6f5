package postgresqueue

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

// cluster is some members on one queue, and what they have said.
type cluster struct {
	t      *testing.T
	config memberConfig
	admin  string // URL of the server itself

	mu       sync.Mutex
	made     int
	members  map[string]*process
	acked    map[string][]string // lanes by event
	removed  map[string]bool     // events that were cancelled
	unsure   map[string]bool     // events that may have been
	ran      []ran
	said     map[string]int // lines by their first word
	refusals map[string]int // what refused calls said
	changed  chan struct{}
}

// ran is one run of a job.
type ran struct {
	at       int64
	member   string
	lane, id string
	attempt  int
	key      string
}

type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	words chan string // "ready", "enough", "left"
	ended chan struct{}
}

func newCluster(t *testing.T, url string, config memberConfig) *cluster {
	t.Helper()
	config.Schema = newSchema(t, url)
	if config.URL == "" {
		config.URL = url
	}
	if config.Lease == 0 {
		config.Lease = testLease
	}
	if config.Lanes == 0 {
		config.Lanes = 12
	}
	require.NoError(t, Migrate(t.Context(), poolConfig(t, url), Options{Schema: config.Schema}))
	c := &cluster{
		t: t, config: config, admin: url, members: map[string]*process{}, acked: map[string][]string{}, removed: map[string]bool{}, unsure: map[string]bool{},
		said: map[string]int{}, refusals: map[string]int{}, changed: make(chan struct{}),
	}
	t.Cleanup(func() {
		for _, p := range c.members {
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
	})
	return c
}

// start adds a member, with a URL of its own if that is not "".
func (c *cluster) start(url string, change ...func(*memberConfig)) *process {
	c.t.Helper()
	c.made++
	config := c.config
	config.Name = fmt.Sprintf("m%d", c.made)
	if url != "" {
		config.URL = url
	}
	if config.Pause == 0 {
		config.Pause = 8 * time.Millisecond
	}
	if config.Handler == 0 {
		config.Handler = 3 * time.Millisecond
	}
	for _, f := range change {
		f(&config)
	}
	text, err := json.Marshal(config)
	require.NoError(c.t, err)
	self, err := os.Executable()
	require.NoError(c.t, err)
	p := &process{name: config.Name, cmd: exec.Command(self), words: make(chan string, 16), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), memberVariable+"="+string(text))
	p.cmd.Stderr = os.Stderr
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(c.t, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(c.t, err)
	require.NoError(c.t, p.cmd.Start())
	c.members[p.name] = p
	go func() {
		defer close(p.ended)
		for s := bufio.NewScanner(out); s.Scan(); {
			c.listen(p, s.Text())
		}
		_ = p.cmd.Wait()
	}()
	c.word(p, "ready")
	return p
}

func (c *cluster) listen(p *process, line string) {
	words := strings.Split(line, " ")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said[words[0]]++
	switch words[0] {
	case "acked":
		c.acked[words[1]] = words[2:]
	case "removed":
		c.removed[words[1]] = true
	case "unsure":
		c.unsure[words[1]] = true
	case "kept":
		delete(c.unsure, words[1])
	case "run":
		at, _ := strconv.ParseInt(words[1], 10, 64)
		attempt, _ := strconv.Atoi(words[4])
		c.ran = append(c.ran, ran{at, p.name, words[2], words[3], attempt, words[5]})
	case "failed":
		c.t.Errorf("member %s %s", p.name, line)
		p.words <- words[0]
	case "refused":
		c.refusals[line]++
	case "ready", "enough", "left":
		p.words <- words[0]
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// word waits until a member says something.
func (c *cluster) word(p *process, want string) {
	c.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case got := <-p.words:
			if got == want {
				return
			}
			require.NotEqual(c.t, "failed", got)
		case <-p.ended:
			require.FailNow(c.t, "a member ended", "waiting for %q", want)
		case <-timeout:
			c.mu.Lock()
			defer c.mu.Unlock()
			require.FailNow(c.t, "a member does not go on", "waiting for %q of %s; %v", want, p.name, c.refusals)
		}
	}
}

// until waits for what members have said, which ok looks at.
func (c *cluster) until(what string, ok func() bool) {
	c.t.Helper()
	timeout := time.After(patience)
	for {
		c.mu.Lock()
		done, changed := ok(), c.changed
		c.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			require.FailNow(c.t, "not in time", what)
		}
	}
}

// runs n more jobs.
func (c *cluster) runMore(n int) {
	c.t.Helper()
	c.mu.Lock()
	want := len(c.ran) + n
	c.mu.Unlock()
	c.until("more jobs", func() bool { return len(c.ran) >= want })
}

// kill ends a member with -9.
func (c *cluster) kill(p *process) {
	_ = p.cmd.Process.Kill()
	<-p.ended
	delete(c.members, p.name)
}

// leave has a member leave politely.
func (c *cluster) leave(p *process) {
	c.t.Helper()
	_, _ = io.WriteString(p.stdin, "leave\n")
	c.word(p, "left")
	<-p.ended
	delete(c.members, p.name)
}

// row reads one row of the queue's tables.
func (c *cluster) row(text string, into ...any) error {
	conn, err := pgx.Connect(c.t.Context(), c.admin)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(c.t.Context()) }()
	// Without prepared statements, which a pooler does not keep.
	return conn.QueryRow(c.t.Context(), strings.ReplaceAll(text, "tocsin.", c.config.Schema+"."), pgx.QueryExecModeExec).Scan(into...)
}

// pauses are how long after a moment each lane that ran in a member before ran elsewhere.
func (c *cluster) pauses(victim string, since time.Time) (all []time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := map[string]bool{}
	first := map[string]int64{}
	for _, r := range c.ran {
		switch {
		case r.at <= since.UnixNano():
			last[r.lane] = r.member == victim
		case r.member != victim && first[r.lane] == 0:
			first[r.lane] = r.at
		}
	}
	for lane, its := range last {
		if its && first[lane] != 0 {
			all = append(all, time.Duration(first[lane]-since.UnixNano()))
		}
	}
	slices.Sort(all)
	return all
}

// awaitTakeover waits until every lane has run elsewhere than in a member since a moment.
func (c *cluster) awaitTakeover(victim string, since time.Time) {
	c.t.Helper()
	c.until("lanes of "+victim+" elsewhere", func() bool {
		lanes := map[string]bool{}
		for i := len(c.ran) - 1; i >= 0 && c.ran[i].at > since.UnixNano(); i-- {
			if c.ran[i].member != victim {
				lanes[c.ran[i].lane] = true
			}
		}
		return len(lanes) == c.config.Lanes
	})
}

// finish ends the load, waits until all has run, has all members leave, and checks what has to hold whatever happened.
// At most repeats jobs may have run again.
func (c *cluster) finish(repeats int) {
	c.t.Helper()
	for _, p := range c.members {
		_, _ = io.WriteString(p.stdin, "enough\n")
	}
	for _, p := range c.members {
		c.word(p, "enough")
	}
	require.EventuallyWithT(c.t, func(t *assert.CollectT) {
		var n int
		require.NoError(t, c.row("SELECT count(*) FROM tocsin.job", &n))
		require.Zero(t, n)
	}, patience, 50*time.Millisecond)
	for _, p := range c.members {
		c.leave(p)
	}
	var events int
	// A lease of which the process has not heard, because its connection was lost at that moment, ends by itself.
	require.EventuallyWithT(c.t, func(t *assert.CollectT) {
		var leases, owned int
		require.NoError(t, c.row(`SELECT (SELECT count(*) FROM tocsin.worker WHERE ends > clock_timestamp()),
			(SELECT count(*) FROM tocsin.lane WHERE owner IS NOT NULL), (SELECT count(*) FROM tocsin.event)`, &leases, &owned, &events))
		require.Zero(t, leases+owned, "who has left owns nothing")
	}, patience, 50*time.Millisecond)
	c.check(repeats, events)
}

func (c *cluster) check(most, orphans int) {
	c.t.Helper()
	slices.SortFunc(c.ran, func(a, b ran) int { return int(a.at - b.at) })
	type run struct {
		lane, id string
		attempt  int
	}
	runs, byJob, repeats := map[run]int{}, map[[2]string]bool{}, 0
	latest := map[[2]string]int{} // by lane and key
	for _, r := range c.ran {
		k := run{r.lane, r.id, r.attempt}
		if runs[k]++; runs[k] > 1 {
			repeats++
		}
		if r.key != "" && !byJob[[2]string{r.lane, r.id}] {
			n, err := strconv.Atoi(r.id[strings.LastIndexByte(r.id, '-')+1:])
			require.NoError(c.t, err)
			at := [2]string{r.lane, r.key}
			if last, ok := latest[at]; ok {
				require.Greater(c.t, n, last, "%s of lane %s: the order of a key", r.id, r.lane)
			}
			latest[at] = n
		}
		byJob[[2]string{r.lane, r.id}] = true
		require.False(c.t, c.removed[r.id], "%s ran after it was cancelled", r.id)
	}
	lost := 0
	for id, lanes := range c.acked {
		for _, lane := range lanes {
			if !byJob[[2]string{lane, id}] && !c.unsure[id] {
				lost++
				c.t.Logf("lost: %s of lane %s", id, lane)
			}
		}
	}
	c.t.Logf("%d acknowledged events, %d runs, %d repeats, %d refused calls, %d handlers cancelled, %d cancelled schedules, %d orphans",
		len(c.acked), len(c.ran), repeats, c.said["refused"], c.said["cancelled"], len(c.removed), orphans)
	for line, n := range c.refusals {
		c.t.Logf("%d times %s", n, line)
	}
	assert.Zero(c.t, lost, "acknowledged and not run")
	assert.LessOrEqual(c.t, repeats, most, "repeats")
}

// inFlight is how many jobs of a member may run at a time.
func (c *cluster) inFlight() int { return c.config.Lanes * memberLimit }
