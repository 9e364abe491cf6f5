package natsdedup_test

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dedup"
	"github.com/tocsin-go/tocsin/dedup/deduptest"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/natstest"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/natsdedup"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConforms(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d nodes", nodes), func(t *testing.T) {
			t.Parallel()
			c := natstest.New(t, nodes)
			var made atomic.Int64
			deduptest.Run(t, func(t *testing.T) dedup.Store {
				s, err := natsdedup.New(t.Context(), natstest.Connect(t, c.URL()),
					natsdedup.Config{Bucket: fmt.Sprintf("b%d", made.Add(1)), Replicas: nodes, Timeout: 20 * time.Second})
				require.NoError(t, err)
				return s
			}, deduptest.Options{Unit: 400 * time.Millisecond})
		})
	}
}

// What one worker has claimed or delivered, another does not get, also while one of three servers is down.
func TestWindowHoldsAcrossWorkersAndTheLossOfAServer(t *testing.T) {
	t.Parallel()
	c := natstest.New(t, 3)
	var workers []*natsdedup.Store
	for range 4 {
		s, err := natsdedup.New(t.Context(), natstest.Connect(t, c.URL()), natsdedup.Config{Replicas: 3, Timeout: 30 * time.Second})
		require.NoError(t, err)
		workers = append(workers, s)
	}
	once := func(key string) {
		var acquired atomic.Int64
		var wg sync.WaitGroup
		for _, s := range workers {
			wg.Go(func() {
				claim, err := s.Claim(t.Context(), key, time.Minute)
				if assert.NoError(t, err) && claim.State == dedup.Acquired {
					acquired.Add(1)
					assert.NoError(t, s.Commit(t.Context(), key, claim.Token, time.Hour))
				}
			})
		}
		wg.Wait()
		assert.EqualValues(t, 1, acquired.Load())
	}
	for i := range 20 {
		once(fmt.Sprintf("before %d", i))
	}
	leader := c.LeaderOf("KV_tocsin-dedup")
	require.GreaterOrEqual(t, leader, 0)
	c.Stop(leader)
	for i := range 20 {
		for _, s := range workers {
			var claim dedup.Claim
			require.Eventually(t, func() bool { // until another server leads
				var err error
				claim, err = s.Claim(t.Context(), fmt.Sprintf("before %d", i), time.Minute)
				return err == nil
			}, time.Minute, 10*time.Millisecond)
			assert.Equal(t, dedup.Done, claim.State)
		}
	}
	once("after")
	c.Start(leader)
	once("again")
}

// A call whose answer is lost with its server is made again, and knows what it had written the first time.
func TestCallsOutliveTheLossOfTheirServer(t *testing.T) {
	t.Parallel()
	c := natstest.New(t, 3)
	s, err := natsdedup.New(t.Context(), natstest.Connect(t, c.URL()), natsdedup.Config{Replicas: 3, Timeout: time.Minute})
	require.NoError(t, err)
	var rounds atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				key := fmt.Sprintf("%d-%d", g, n)
				claim, err := s.Claim(t.Context(), key, time.Hour)
				if !assert.NoError(t, err) || !assert.Equal(t, dedup.Acquired, claim.State, key) ||
					!assert.NoError(t, s.Commit(t.Context(), key, claim.Token, time.Hour)) {
					return
				}
				rounds.Add(1)
			}
		})
	}
	reach := func(n int64) {
		require.Eventually(t, func() bool { return rounds.Load() >= n }, time.Minute, time.Millisecond)
	}
	for range 2 {
		reach(rounds.Load() + 50)
		leader := c.LeaderOf("KV_tocsin-dedup")
		require.GreaterOrEqual(t, leader, 0)
		c.Stop(leader)
		reach(rounds.Load() + 50)
		c.Start(leader)
	}
	close(stop)
	wg.Wait()
}

// A call whose answer was lost had been heard: when it is made again, it meets its own entry, which is no conflict.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	c := natstest.New(t, 1)
	proxy, direct := natstest.NewProxy(t, c.URL()), natstest.Connect(t, c.URL())
	s, err := natsdedup.New(t.Context(), natstest.Connect(t, proxy.URL()), natsdedup.Config{Replicas: 1, Timeout: time.Minute})
	require.NoError(t, err)
	written := func() uint64 { return natstest.State(t, direct, "KV_tocsin-dedup").LastSeq }
	unanswered := func(call func() error) {
		proxy.CutAnswers()
		before, done := written(), make(chan error, 1)
		go func() { done <- call() }()
		require.Eventually(t, func() bool { return written() > before }, time.Minute, time.Millisecond)
		proxy.Heal()
		require.NoError(t, <-done)
		assert.Equal(t, before+1, written(), "it was written once")
	}
	for key, settle := range map[string]func(key, token string) error{
		"commit":  func(key, token string) error { return s.Commit(t.Context(), key, token, time.Hour) },
		"release": func(key, token string) error { return s.Release(t.Context(), key, token) },
	} {
		var claim dedup.Claim
		unanswered(func() (err error) {
			claim, err = s.Claim(t.Context(), key, time.Hour)
			return err
		})
		require.Equal(t, dedup.Acquired, claim.State)
		unanswered(func() error { return settle(key, claim.Token) })
		assert.ErrorIs(t, settle(key, claim.Token), dedup.ErrLost)
	}
}

// Keys go after their time, and nothing is written in their place: it could stand behind a claim that was made at
// the same moment.
func TestKeysGoAfterTheirTime(t *testing.T) {
	t.Parallel()
	c := natstest.New(t, 1)
	nc := natstest.Connect(t, c.URL())
	s, err := natsdedup.New(t.Context(), nc, natsdedup.Config{Replicas: 1})
	require.NoError(t, err)
	for i := range 50 {
		claim, err := s.Claim(t.Context(), fmt.Sprint(i), time.Minute)
		require.NoError(t, err)
		require.NoError(t, s.Commit(t.Context(), fmt.Sprint(i), claim.Token, 100*time.Millisecond))
	}
	require.Eventually(t, func() bool { return natstest.State(t, nc, "KV_tocsin-dedup").Msgs == 0 },
		30*time.Second, 50*time.Millisecond)
	assert.EqualValues(t, 100, natstest.State(t, nc, "KV_tocsin-dedup").LastSeq, "a claim and a commit each")
}

func TestConfigErrorNamesTheField(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t, natstest.New(t, 1).URL())
	for field, c := range map[string]natsdedup.Config{
		"Replicas": {}, "Bucket": {Bucket: "a.b", Replicas: 1},
	} {
		_, err := natsdedup.New(t.Context(), nc, c)
		var bad *channel.ConfigError
		require.ErrorAs(t, err, &bad)
		assert.Equal(t, field, bad.Path)
		assert.Equal(t, "natsdedup", bad.Package)
	}
	_, err := natsdedup.New(t.Context(), nc, natsdedup.Config{Bucket: "a.b"})
	require.ErrorContains(t, err, "Bucket")
	require.ErrorContains(t, err, "Replicas", "every mistake at once")
}

// The longest durations mean forever, and must not wrap round to the past.
func TestLongestWindowDoesNotOverflow(t *testing.T) {
	t.Parallel()
	s, err := natsdedup.New(t.Context(), natstest.Connect(t, natstest.New(t, 1).URL()), natsdedup.Config{Replicas: 1})
	require.NoError(t, err)
	claim, err := s.Claim(t.Context(), "key", math.MaxInt64)
	require.NoError(t, err)
	other, err := s.Claim(t.Context(), "key", time.Second)
	require.NoError(t, err)
	assert.Equal(t, dedup.InFlight, other.State)
	require.NoError(t, s.Commit(t.Context(), "key", claim.Token, math.MaxInt64))
	other, err = s.Claim(t.Context(), "key", time.Second)
	require.NoError(t, err)
	assert.Equal(t, dedup.Done, other.State)
}

// A bucket that somebody else made is refused, and is as it was: its history, its entries, its replicas.
func TestBucketOfSomebodyElseIsLeftAlone(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t, natstest.New(t, 1).URL())
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	config := jetstream.KeyValueConfig{Bucket: "tocsin-dedup", History: 5, Description: "somebody else's"}
	kv, err := js.CreateKeyValue(t.Context(), config)
	require.NoError(t, err)
	for n := range 5 {
		_, err := kv.PutString(t.Context(), "key", fmt.Sprint(n))
		require.NoError(t, err)
	}
	_, err = natsdedup.New(t.Context(), nc, natsdedup.Config{Replicas: 1})
	var foreign *natsdedup.BucketError
	require.ErrorAs(t, err, &foreign)
	assert.Equal(t, "tocsin-dedup", foreign.Bucket)
	assert.Contains(t, err.Error(), "Config.Bucket")
	history, err := kv.History(t.Context(), "key")
	require.NoError(t, err)
	assert.Len(t, history, 5)
	status, err := kv.Status(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 5, status.History())

	newer := jetstream.StreamConfig{Name: "KV_newer", Subjects: []string{"$KV.newer.>"}, Metadata: map[string]string{"tocsin.version": "2"}}
	_, err = js.CreateStream(t.Context(), newer)
	require.NoError(t, err)
	_, err = natsdedup.New(t.Context(), nc, natsdedup.Config{Bucket: "newer", Replicas: 1})
	require.ErrorAs(t, err, &foreign)
	assert.Equal(t, "2", foreign.Found)

	for range 2 { // its own is found again
		_, err = natsdedup.New(t.Context(), nc, natsdedup.Config{Bucket: "own", Replicas: 1})
		require.NoError(t, err)
	}
}

func TestNoJetStream(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t, natstest.New(t, 1, func(o *server.Options) { o.JetStream = false }).URL())
	_, err := natsdedup.New(t.Context(), nc, natsdedup.Config{Replicas: 1, Timeout: 100 * time.Millisecond})
	require.Error(t, err)
	assert.Contains(t, err.Error(), "no JetStream")
}
