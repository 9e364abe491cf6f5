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

// setupVersion is the version of streams and subjects. A program meets an older one by bringing it up to its own, and
// refuses a newer one. Version 1 had a consumer for each lane and no stream of workers.
const setupVersion = 2

// leastServer is the first version with message schedules.
const leastServer = "2.12"

// streams are the queue's streams at the servers.
type streams struct{ jobs, dead, marks, workers jetstream.Stream }

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
	}{
		// Who owned which lane is then known for as long as there are jobs, unless the servers lost it.
		{&s.workers, workersConfig(c)},
		{&s.jobs, jobsConfig(c)},
		{&s.dead, deadConfig(c)},
		{&s.marks, marksConfig(c)},
	} {
		stream, err := ensure(ctx, js, one.config)
		if err != nil {
			return s, err
		}
		if one.config.AllowMsgSchedules && !stream.CachedInfo().Config.AllowMsgSchedules {
			return s, &ServerError{Version: js.Conn().ConnectedServerVersion()}
		}
		*one.stream = stream
	}
	return s, deleteConsumers(ctx, s.jobs)
}

// deleteConsumers deletes the consumers that a program of version 1 made. While there are any the server has to keep
// them up to date with each job.
func deleteConsumers(ctx context.Context, jobs jetstream.Stream) error {
	if jobs.CachedInfo().State.Consumers == 0 {
		return nil
	}
	names, err := jsapi.Retry(ctx, func(ctx context.Context) (names []string, err error) {
		list := jobs.ConsumerNames(ctx)
		for name := range list.Name() {
			names = append(names, name)
		}
		return names, list.Err()
	})
	for _, name := range names {
		if err == nil {
			_, err = jsapi.Retry(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, jobs.DeleteConsumer(ctx, name) })
		}
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			err = nil
		}
	}
	return setUpError(jobs.CachedInfo().Config.Name, err)
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
			n.subject(kindReady, fullWildcard), n.subject(kindLater, fullWildcard), n.subject(kindTimed, fullWildcard),
			n.subject(kindHead, wildcard),
		},
		Retention:         jetstream.WorkQueuePolicy,
		Storage:           jetstream.FileStorage,
		PersistMode:       jetstream.DefaultPersistMode, // never asynchronous: a confirmed job has been written
		Replicas:          c.Replicas,
		Duplicates:        c.IDWindow,
		AllowRollup:       true,
		AllowMsgSchedules: true,
		AllowDirect:       true, // to read and to count
		RePublish: &jetstream.RePublish{
			Source: n.subject(kindReady, wildcard, wildcard), Destination: n.subject(kindStored, "{{wildcard(1)}}"),
		},
		Metadata: metadata(),
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
		AllowMsgTTL: true, // of lanes whose bound has an age
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

// workersConfig is in memory, so that lanes can be owned while the servers' disk is full. When it is lost, the workers
// write it again.
func workersConfig(c Config) jetstream.StreamConfig {
	n := naming(c.Name)
	return jetstream.StreamConfig{
		Name:        n.workers(),
		Description: "Tocsin: workers and the lanes they own",
		Subjects: []string{
			n.subject(kindWorker, wildcard), n.subject(kindOwner, wildcard, wildcard), n.subject(kindLeft, wildcard),
		},
		Storage:           jetstream.MemoryStorage,
		Replicas:          c.Replicas,
		MaxMsgsPerSubject: 1,
		AllowMsgTTL:       true,
		Duplicates:        time.Second, // unused
		Metadata:          metadata(),
	}
}

// recreate makes the streams in memory again: a single server that restarts does not even know their names any more.
func (q *Queue) recreate(ctx context.Context) {
	for _, c := range []jetstream.StreamConfig{marksConfig(q.config), workersConfig(q.config)} {
		_, _ = jsapi.Retry(ctx, func(ctx context.Context) (jetstream.Stream, error) { return ensure(ctx, q.js, c) })
	}
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
		have.Duplicates == want.Duplicates && have.MaxAge == want.MaxAge && have.AllowDirect == want.AllowDirect &&
		(have.AllowMsgTTL || !want.AllowMsgTTL)
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
