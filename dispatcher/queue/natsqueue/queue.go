package natsqueue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// Config configures a Queue. Replicas is required; the zero value of every other field is its default.
type Config struct {
	// Name begins the names of the queue's streams and subjects, so that several can share an account: letters,
	// digits, "-" and "_", at most 32. "" = "tocsin".
	Name string
	// Replicas is on how many servers each job is stored: 1, 3 or 5. It has no default, because it decides what
	// survives: see the package comment. Changing it changes the streams.
	Replicas int
	// IDWindow is how long the ids of jobs are known; 0 = 5 min, at least 1 s. The servers keep them in memory,
	// about 0.2 KiB each.
	IDWindow time.Duration
	// Lease is after how long without a heartbeat a worker's lanes are given to others; 0 = 30 s, at least 1 s, and the
	// same in every process. Workers send a heartbeat every third of it, and look that often for what they missed.
	Lease time.Duration
	// Timeout bounds a call whose ctx has no earlier deadline; 0 = 10 s. Meanwhile it is tried again, so an
	// election of a leader or a short cut is no error.
	Timeout time.Duration
	// KeepDead is how long dead letters are kept at most, whatever a lane's bound says; 0 = 30 days, negative = until
	// they are discarded.
	KeepDead time.Duration
	// Logger gets what delays jobs and has no caller: servers that do not answer or refuse, overdue jobs, messages
	// that cannot be read. nil = slog.Default.
	Logger *slog.Logger
}

const (
	defaultName     = "tocsin"
	defaultIDWindow = 5 * time.Minute
	defaultLease    = 30 * time.Second
	defaultTimeout  = 10 * time.Second
	defaultKeepDead = 30 * 24 * time.Hour

	longestName = 32
)

// withDefaults returns c with its defaults, and all mistakes in it as joined *channel.ConfigErrors.
func (c Config) withDefaults() (Config, error) {
	if c.Name == "" {
		c.Name = defaultName
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	var errs []error
	bad := func(path string, code channel.ConfigCode, problem, remedy string) {
		errs = append(errs, &channel.ConfigError{Package: "natsqueue", Path: path, Code: code, Problem: problem, Remedy: remedy})
	}
	if len(c.Name) > longestName {
		bad("Name", channel.CodeRange, "is too long", "use at most 32 characters")
	}
	if strings.ContainsFunc(c.Name, func(r rune) bool { return r > 127 || !isWord(byte(r)) }) {
		bad("Name", channel.CodeInvalid, "has a character that is not allowed", `use letters, digits, "-" and "_"`)
	}
	if !slices.Contains([]int{1, 3, 5}, c.Replicas) {
		code := channel.CodeInvalid
		if c.Replicas == 0 {
			code = channel.CodeMissing
		}
		bad("Replicas", code, "is not 1, 3 or 5", "say on how many servers jobs are stored")
	}
	for _, d := range []struct {
		path       string
		field      *time.Duration
		least, def time.Duration
	}{
		{"IDWindow", &c.IDWindow, time.Second, defaultIDWindow},
		{"Lease", &c.Lease, time.Second, defaultLease},
		{"Timeout", &c.Timeout, 0, defaultTimeout},
		{"KeepDead", &c.KeepDead, math.MinInt64, defaultKeepDead},
	} {
		if *d.field == 0 {
			*d.field = d.def
		}
		if *d.field < d.least {
			bad(d.path, channel.CodeRange, fmt.Sprintf("is below %v", d.least), fmt.Sprintf("use 0 for the default of %v", d.def))
		}
	}
	return c, errors.Join(errs...)
}

// Queue is a queue.Queue on JetStream. Any number of processes may use it at a time, each with a Queue of its own.
type Queue struct {
	config Config
	names  naming
	nc     *nats.Conn
	js     jetstream.JetStream
	streams

	mu      sync.Mutex
	lanes   map[string]*lane // open ones
	tokens  map[string]*lane // the same by their tokens
	stopped map[string]*lane // stopped ones of which something is left
	opened  []*lane          // that are to be scanned
	bounds  map[string]queue.Bound
	// removals are the messages of cancelled jobs that could not be removed, by number.
	removals map[uint64]bool

	clock *clock
	// maxPayload is the connection's, which cannot be asked for it while it connects again.
	maxPayload atomic.Int64
	watch      watch
	known      known
	worker     worker
	reader     *jsapi.Reader
	deleter    *jsapi.Deleter
	created    time.Time            // when the stream of jobs was; of scan
	gone       map[string]time.Time // workers that are, which wrote that they own lanes, and since when; of scan
	steps      chan struct{}        // has room for as many lanes as ask the servers at a time
	requests   chan struct{}        // has room for as many removals as are asked for at a time
	ctx        context.Context      // of what the Queue itself runs
	end        context.CancelFunc
	ended      sync.WaitGroup
}

var _ queue.Queue = (*Queue)(nil)

// New sets the queue's streams up, or finds them, and returns the queue. nc brings credentials, TLS, and the
// addresses of the servers; it should reconnect forever (nats.MaxReconnects(-1)), and the Queue does not close it.
// Errors are joined *channel.ConfigErrors, a *ServerError, *VersionError, or JetStream's own.
func New(ctx context.Context, nc *nats.Conn, c Config) (*Queue, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	if version := nc.ConnectedServerVersion(); tooOld(version) {
		return nil, &ServerError{Version: version}
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncTimeout(jsapi.Timeout), jetstream.WithPublishAsyncMaxPending(maxPublishing))
	if err != nil {
		return nil, fmt.Errorf("natsqueue: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if err := haveJetStream(ctx, nc); err != nil {
		return nil, err
	}
	s, err := setUp(ctx, js, c)
	if err != nil {
		return nil, err
	}
	q := &Queue{
		config: c, names: naming(c.Name), nc: nc, js: js, streams: s, clock: newClock(time.Now()),
		lanes: map[string]*lane{}, tokens: map[string]*lane{}, stopped: map[string]*lane{},
		bounds: map[string]queue.Bound{}, known: newKnown(), removals: map[uint64]bool{},
		worker: worker{
			process: rand.Text(), rescan: make(chan struct{}, 1), loads: map[string]int64{}, closed: map[string]uint64{},
		},
		steps: make(chan struct{}, maxSteps), requests: make(chan struct{}, maxSteps),
	}
	if q.deleter, err = jsapi.NewDeleter(nc, q.names.jobs()); err != nil {
		return nil, fmt.Errorf("natsqueue: %w", err)
	}
	q.reader, q.created = jsapi.NewReader(nc, q.names.jobs()), s.jobs.CachedInfo().Created
	q.maxPayload.Store(nc.MaxPayload())
	if err := q.readClock(ctx); err != nil {
		return nil, setUpError(q.names.jobs(), err)
	}
	q.ctx, q.end = context.WithCancel(context.Background())
	q.ended.Go(q.watchSchedules)
	return q, nil
}

// maxSteps is how many requests about lanes are made at a time: more would only wait at the servers, and come again.
const maxSteps = 64

// Close ends what the Queue itself runs. Stop the lanes first, and close the connection after.
func (q *Queue) Close() {
	q.end()
	q.ended.Wait()
	q.reader.Close()
	q.deleter.Close()
	q.js.CleanupPublisher()
}

// precision is what message schedules were measured to need: the server looks for due ones four times a second, and
// writes each as a new message.
const precision = time.Second

// Properties implements queue.Queue.
func (q *Queue) Properties() queue.Properties {
	return queue.Properties{
		Durable:     true,
		Precision:   precision,
		DeadBounded: true,
		Scheduling:  true,
		Inspection:  true,
		IDWindow: fmt.Sprintf("%v after it was stored; those of finished jobs are forgotten when all servers restart at a time",
			q.config.IDWindow),
	}
}

// Bound implements queue.Queue. Of b only DeadLetters and DeadLetterAge have an effect: what waits is bounded by the
// servers' disk. It is forgotten when the lane is closed.
func (q *Queue) Bound(lane string, b queue.Bound) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if b.DeadLetters == 0 && b.DeadLetterAge == 0 {
		delete(q.bounds, lane)
		return
	}
	q.bounds[lane] = queue.Bound{DeadLetters: b.DeadLetters, DeadLetterAge: b.DeadLetterAge}
}

// bound returns the bound of a lane's dead letters.
func (q *Queue) bound(lane string) queue.Bound {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.bounds[lane]
	if b.DeadLetters <= 0 {
		b.DeadLetters = queue.DefaultDeadLetters
	}
	return b
}

// Open implements queue.Queue. The limit that counts is that of the process that owns the lane. Open succeeds also
// while no server answers; serving begins when one does.
func (q *Queue) Open(name string, o queue.LaneOptions, h queue.Handler) (queue.Lane, error) {
	q.register()
	q.follow()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lanes[name] != nil {
		return nil, queue.ErrLaneOpen
	}
	l := newLane(q, name, o, h)
	l.before = q.stopped[name]
	delete(q.stopped, name)
	q.lanes[name], q.tokens[l.token] = l, l
	q.lookAfter(l)
	return l, nil
}

// removeLane makes room for a lane that was stopped to be opened again.
func (q *Queue) removeLane(l *lane) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lanes[l.name] != l {
		return
	}
	delete(q.lanes, l.name)
	delete(q.tokens, l.token)
	delete(q.bounds, l.name)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.gone() || l.before != nil {
		q.stopped[l.name] = l
	}
}

// left is called when nothing is left of a lane that was stopped.
func (q *Queue) left(gone *lane) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.latestLocked(gone.name)
	if l == gone && q.stopped[gone.name] == gone {
		if q.stopped[gone.name] = gone.before; gone.before == nil {
			delete(q.stopped, gone.name)
		}
		return
	}
	for ; l != nil; l = l.before {
		if l.before == gone {
			l.mu.Lock()
			l.before = gone.before
			l.step()
			l.mu.Unlock()
			return
		}
	}
}

// lane returns the open lane of that name, or nil.
func (q *Queue) lane(name string) *lane {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lanes[name]
}

// byToken returns the open lane of that token, or nil.
func (q *Queue) byToken(token string) *lane {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.tokens[token]
}

// latest returns the lane of that token that was opened last and is open, or of which something is left; or nil.
func (q *Queue) latest(token string) *lane {
	name, err := untoken(token)
	if err != nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.latestLocked(name)
}

// latestLocked is latest with q locked.
func (q *Queue) latestLocked(name string) *lane {
	if l := q.lanes[name]; l != nil {
		return l
	}
	return q.stopped[name]
}

// openLanes lists the lanes that are open.
func (q *Queue) openLanes() []*lane {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Collect(maps.Values(q.lanes))
}

// allLanes lists the lanes that are open, and those of which something is left.
func (q *Queue) allLanes() []*lane {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := slices.Collect(maps.Values(q.lanes))
	for _, l := range q.lanes {
		for l = l.before; l != nil; l = l.before {
			all = append(all, l)
		}
	}
	for _, l := range q.stopped {
		for ; l != nil; l = l.before {
			all = append(all, l)
		}
	}
	return all
}

// bounded gives a call the queue's timeout.
func (q *Queue) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, q.config.Timeout)
}

// clock is the servers' time, which decides when a schedule fires. The processes of a queue may disagree with it
// and with each other: a delay is counted from the servers' now, and whether a job has come too early is judged by
// it. Between two readings it goes on with this process's monotonic clock, so that setting the wall clock moves
// nothing.
type clock struct {
	mu      sync.Mutex
	read    time.Time // when it was read, for its monotonic part
	servers time.Time // what it was then
}

// newClock begins with a wall clock, until the servers' is known.
func newClock(wall time.Time) *clock { return &clock{read: time.Now(), servers: wall.Round(0)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.servers.Add(time.Since(c.read))
}

// agreement is how far two clocks may be apart and count as one: less than is noticeable, more than a busy
// machine's delays make of clocks that agree.
const agreement = 100 * time.Millisecond

// observe takes a server's time, which is of some moment since asked.
func (c *clock) observe(asked, server time.Time) {
	half := time.Since(asked) / 2
	now, known := server.Add(half), c.now()
	if off := now.Sub(known).Abs(); off <= agreement+half {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read, c.servers = time.Now(), now.Round(0)
}

// until is how long it is to a time of the servers' clock.
func (c *clock) until(at time.Time) time.Duration { return at.Sub(c.now()) }

// readClock asks the leader of the stream of jobs, whose clock fires its schedules.
func (q *Queue) readClock(ctx context.Context) error {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	_, err := jsapi.Retry(ctx, func(ctx context.Context) (struct{}, error) {
		asked := time.Now()
		info, err := q.jobs.Info(ctx)
		if err == nil && !info.TimeStamp.IsZero() {
			q.clock.observe(asked, info.TimeStamp)
		}
		return struct{}{}, err
	})
	return err
}
