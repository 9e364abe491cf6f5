package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// setupVersion is the version of streams, subjects and consumers. A program meets an older one by bringing it up to
// its own, and refuses a newer one.
const setupVersion = 1

// leastServer is the first version with message schedules.
const leastServer = "2.12"

// streams are the queue's streams at the servers.
type streams struct{ jobs, dead, marks jetstream.Stream }

// haveJetStream asks the servers whether they serve JetStream to this account. No is an answer when it does not
// change in a moment. When nobody answers and the server that is connected says that it has JetStream, it may be
// starting: setUp goes on asking.
func haveJetStream(ctx context.Context, nc *nats.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, jsapi.Timeout)
	defer cancel()
	_, err := jsapi.Retry(ctx, func(ctx context.Context) (struct{}, error) {
		var answer struct {
			Error *jetstream.APIError `json:"error"`
		}
		err := jsapi.Call(ctx, nc, "INFO", nil, &answer)
		if err == nil && answer.Error != nil {
			err = answer.Error
		}
		return struct{}{}, err
	})
	_, answered := errors.AsType[*jetstream.APIError](err)
	if here, _ := nc.ConnectedServerJetStream(); jsapi.IsNoJetStream(err) && (answered || !here) {
		return &ServerError{Err: err}
	}
	return nil
}

// setUp makes the streams, or brings them up to this version and configuration.
func setUp(ctx context.Context, js jetstream.JetStream, c Config) (streams, error) {
	var s streams
	for _, one := range []struct {
		stream *jetstream.Stream
		config jetstream.StreamConfig
	}{{&s.jobs, jobsConfig(c)}, {&s.dead, deadConfig(c)}, {&s.marks, marksConfig(c)}} {
		stream, err := ensure(ctx, js, one.config)
		if err != nil {
			return s, err
		}
		if one.config.AllowMsgSchedules && !stream.CachedInfo().Config.AllowMsgSchedules {
			return s, &ServerError{Version: js.Conn().ConnectedServerVersion()}
		}
		*one.stream = stream
	}
	return s, nil
}

func metadata() map[string]string {
	return map[string]string{jsapi.VersionKey: strconv.Itoa(setupVersion)}
}

func jobsConfig(c Config) jetstream.StreamConfig {
	n := naming(c.Name)
	return jetstream.StreamConfig{
		Name:        n.jobs(),
		Description: "Tocsin: deliveries that wait",
		Subjects: []string{
			n.subject(kindReady, fullWildcard), n.subject(kindLater, fullWildcard), n.subject(kindTimed, fullWildcard), n.subject(kindHead, wildcard),
		},
		Retention:         jetstream.WorkQueuePolicy,
		Storage:           jetstream.FileStorage,
		PersistMode:       jetstream.DefaultPersistMode, // never asynchronous: a confirmed job has been written
		Replicas:          c.Replicas,
		Duplicates:        c.IDWindow,
		AllowRollup:       true,
		AllowMsgSchedules: true,
		AllowDirect:       true, // to count
		Metadata:          metadata(),
	}
}

func deadConfig(c Config) jetstream.StreamConfig {
	n := naming(c.Name)
	window := c.IDWindow
	if c.KeepDead > 0 {
		window = min(window, c.KeepDead) // which bounds it
	}
	return jetstream.StreamConfig{
		Name:        n.dead(),
		Description: "Tocsin: deliveries that were given up",
		Subjects:    []string{n.subject(kindDead, fullWildcard)},
		Storage:     jetstream.FileStorage,
		PersistMode: jetstream.DefaultPersistMode,
		Replicas:    c.Replicas,
		AllowDirect: true, // to count
		MaxAge:      max(c.KeepDead, 0),
		Duplicates:  window,
		Metadata:    metadata(),
	}
}

// marksConfig is in memory: what it says matters for moments.
func marksConfig(c Config) jetstream.StreamConfig {
	n := naming(c.Name)
	return jetstream.StreamConfig{
		Name:              n.marks(),
		Description:       "Tocsin: scheduled jobs that were started or cancelled",
		Subjects:          []string{n.subject(kindMark, wildcard)},
		Storage:           jetstream.MemoryStorage,
		Replicas:          c.Replicas,
		MaxAge:            max(c.IDWindow, leastMarkAge),
		MaxMsgsPerSubject: 1,
		Duplicates:        time.Second, // unused
		Metadata:          metadata(),
	}
}

// recreateMarks makes the stream of marks again: a single server that restarts does not even know its name any more.
func (q *Queue) recreateMarks(ctx context.Context) {
	_, _ = jsapi.Retry(ctx, func(ctx context.Context) (jetstream.Stream, error) { return ensure(ctx, q.js, marksConfig(q.config)) })
}

// ensure makes one stream, or updates it if it is not as wanted.
func ensure(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, err := jsapi.EnsureStream(ctx, js, want, same)
	if version, ok := errors.AsType[*jsapi.VersionError](err); ok {
		return nil, &VersionError{Stream: want.Name, Found: version.Found}
	}
	return stream, setUpError(want.Name, err)
}

// same compares what Config decides; the rest goes with the version.
func same(have, want jetstream.StreamConfig) bool {
	return have.Metadata[jsapi.VersionKey] == want.Metadata[jsapi.VersionKey] && have.Replicas == want.Replicas &&
		have.Duplicates == want.Duplicates && have.MaxAge == want.MaxAge && have.AllowDirect == want.AllowDirect
}

func setUpError(stream string, err error) error {
	if err == nil {
		return nil
	}
	if jsapi.IsNoJetStream(err) {
		return &ServerError{Err: err}
	}
	return fmt.Errorf("natsqueue: set up stream %q: %w", stream, err)
}

// consumerConfig is the consumer that all workers of a lane share. Its limit of unacknowledged messages is what
// bounds the lane across them.
func (q *Queue) consumerConfig(l *lane, limit int) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:           l.consumer,
		Description:       "Tocsin: a lane",
		FilterSubject:     q.names.subject(kindReady, l.token, wildcard),
		DeliverPolicy:     jetstream.DeliverAllPolicy,
		AckPolicy:         jetstream.AckExplicitPolicy,
		AckWait:           q.config.Lease,
		MaxDeliver:        -1, // attempts are counted in the job
		MaxAckPending:     limit,
		InactiveThreshold: idleConsumer,
		Metadata:          metadata(),
	}
}

// idleConsumer is after how long without a worker the consumer of a lane goes; its jobs stay, and it comes back
// with the lane.
const idleConsumer = 7 * 24 * time.Hour

// tooOld reports whether a server of this version lacks message schedules. A version it cannot read is left to the
// stream's configuration to tell.
func tooOld(version string) bool {
	major, rest, ok := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, err := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	if !ok || err != nil || err2 != nil {
		return false
	}
	return a < 2 || a == 2 && b < 12
}
