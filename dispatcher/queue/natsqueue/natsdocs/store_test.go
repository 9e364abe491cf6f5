package natsdocs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/dispatcher/manage/managetest"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/natstest"
)

func TestMain(m *testing.M) {
	if managetest.Child(openChild) {
		return
	}
	goleak.VerifyTestMain(m)
}

const password = "password-8d2c"

// withPassword lets only those in who know it.
func withPassword(o *server.Options) { o.Username, o.Password = "products", password }

// quick is how often tests look for changes.
const quick = 10 * time.Millisecond

// openChild opens the store of "bucket url".
func openChild(store string) (manage.Documents, func() error, error) {
	bucket, url, _ := strings.Cut(store, " ")
	nc, err := natstest.Dial(url, nats.UserInfo("products", password))
	if err != nil {
		return nil, nil, err
	}
	s, err := New(context.Background(), nc, Config{Bucket: bucket, Replicas: 1, Poll: quick})
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return s, func() error { s.Close(); nc.Close(); return nil }, nil
}

func open(t *testing.T, url, bucket string, replicas int) *Store {
	t.Helper()
	nc := natstest.Connect(t, url, nats.UserInfo("products", password))
	s, err := New(t.Context(), nc, Config{Bucket: bucket, Replicas: replicas, Timeout: time.Minute, Poll: quick})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func TestConforms(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d nodes", nodes), func(t *testing.T) {
			t.Parallel()
			c := natstest.New(t, nodes, withPassword)
			var made atomic.Int64
			newBucket := func() string { return fmt.Sprint("b", made.Add(1)) }
			suite := managetest.Suite{
				New:   func(t *testing.T) manage.Documents { return open(t, c.URL(), newBucket(), nodes) },
				Close: func(d manage.Documents) error { d.(*Store).Close(); return nil },
				Network: func(t *testing.T) managetest.Network {
					bucket, proxy := newBucket(), natstest.NewProxy(t, c.Address(0))
					other := open(t, c.URL(), bucket, nodes)
					return managetest.Network{Documents: open(t, proxy.URL(), bucket, nodes), Other: other, Cut: proxy.Cut, Heal: proxy.Heal}
				},
				MaxSize: 1<<20 - headroom,
				Secrets: []string{password},
				Timeout: 2 * time.Minute,
			}
			if nodes == 1 {
				suite.Process = &managetest.Process{
					Store: func(*testing.T) string { return newBucket() + " " + c.URL() },
					Open: func(t *testing.T, store string) manage.Documents {
						bucket, url, _ := strings.Cut(store, " ")
						return open(t, url, bucket, 1)
					},
					Shared: true,
				}
			}
			managetest.Run(t, suite)
		})
	}
}

// Calls outlive the loss of the server that leads the bucket, and watches go on.
func TestOutlivesTheLossOfTheLeader(t *testing.T) {
	t.Parallel()
	c := natstest.New(t, 3, withPassword)
	s := open(t, c.URL(), "docs", 3)
	changes, err := s.Watch(t.Context())
	require.NoError(t, err)
	latest, count := manage.Revision(0), 0
	put := func() {
		count++
		content := []byte(fmt.Sprint(count))
		r, err := s.Put(t.Context(), "a", manage.Record{Content: content}, latest)
		require.NoError(t, err)
		require.Greater(t, r, latest)
		got, err := s.Get(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, manage.Record{Revision: r, Content: content}, got)
		latest = r
	}
	put()
	leader := c.LeaderOf("KV_docs")
	require.GreaterOrEqual(t, leader, 0)
	c.Stop(leader)
	for range 20 {
		put()
	}
	c.Start(leader)
	put()
	for told := manage.Revision(0); told < latest; {
		change := <-changes
		require.False(t, change.Resync)
		require.Greater(t, change.Revision, told)
		told = change.Revision
	}
}

// When the answer to a write is lost, the call finds its own message, and does not take it for somebody else's.
func TestAnAnswerThatIsLost(t *testing.T) {
	t.Parallel()
	c := natstest.New(t, 1, withPassword)
	proxy := natstest.NewProxy(t, c.Address(0))
	s := open(t, proxy.URL(), "docs", 1)
	latest := manage.Revision(0)
	for n := range 8 {
		content := []byte(fmt.Sprint(n))
		done := make(chan error, 1)
		go func() {
			var err error
			latest, err = s.Put(t.Context(), "a", manage.Record{Content: content}, latest)
			done <- err
		}()
		<-time.After(time.Duration(n) * 100 * time.Microsecond) // some are cut before the write, some after it
		proxy.CutAnswers()
		<-time.After(10 * time.Millisecond)
		proxy.Heal()
		require.NoError(t, <-done)
		got, err := s.Get(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, manage.Record{Revision: latest, Content: content}, got)
	}
}

// A bucket that was made again is told, and listed as it is.
func TestABucketThatWasMadeAgain(t *testing.T) {
	t.Parallel()
	c := natstest.New(t, 1, withPassword)
	s := open(t, c.URL(), "docs", 1)
	for _, tenant := range []string{"a", "b", "c"} {
		_, err := s.Put(t.Context(), tenant, manage.Record{}, 0)
		require.NoError(t, err)
	}
	heads, err := s.List(t.Context(), "", 10)
	require.NoError(t, err)
	require.Len(t, heads, 3)
	changes, err := s.Watch(t.Context())
	require.NoError(t, err)
	js, err := jetstream.New(natstest.Connect(t, c.URL(), nats.UserInfo("products", password)))
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(t.Context(), "KV_docs"))
	again := open(t, c.URL(), "docs", 1)
	_, err = again.Put(t.Context(), "d", manage.Record{}, 0)
	require.NoError(t, err)
	assert.Equal(t, manage.Change{Resync: true}, <-changes)
	heads, err = s.List(t.Context(), "", 10)
	require.NoError(t, err)
	assert.Equal(t, []manage.Head{{Tenant: "d", Revision: 1}}, heads)
}

// What somebody else puts into the bucket is no document, and disturbs none.
func TestKeysOfOthers(t *testing.T) {
	t.Parallel()
	c := natstest.New(t, 1, withPassword)
	s := open(t, c.URL(), "docs", 1)
	changes, err := s.Watch(t.Context())
	require.NoError(t, err)
	js, err := jetstream.New(natstest.Connect(t, c.URL(), nats.UserInfo("products", password)))
	require.NoError(t, err)
	for _, key := range []string{"YR", "a.b", "====", strings.Repeat("YWFh", 100)} {
		_, err = js.Publish(t.Context(), "$KV.docs."+key, []byte("x"))
		require.NoError(t, err)
	}
	_, err = s.Put(t.Context(), "a", manage.Record{}, 0)
	require.NoError(t, err)
	change := <-changes
	assert.Equal(t, "a", change.Tenant)
	heads, err := s.List(t.Context(), "", 10)
	require.NoError(t, err)
	assert.Equal(t, []manage.Head{change.Head}, heads)
}

func TestRefusesABucketOfOthers(t *testing.T) {
	t.Parallel()
	c := natstest.New(t, 1, withPassword)
	nc := natstest.Connect(t, c.URL(), nats.UserInfo("products", password))
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "theirs"})
	require.NoError(t, err)
	newer := jsapi.Bucket("newer", "", 1, bucketVersion+1)
	_, err = js.CreateStream(t.Context(), newer)
	require.NoError(t, err)
	for bucket, found := range map[string]string{"theirs": "", "newer": "2"} {
		_, err = New(t.Context(), nc, Config{Bucket: bucket, Replicas: 1})
		refused, ok := errors.AsType[*BucketError](err)
		require.True(t, ok, err)
		assert.Equal(t, BucketError{Bucket: bucket, Found: found}, *refused)
	}
	_, err = New(t.Context(), nc, Config{Bucket: "a.b"})
	var paths []string
	for _, one := range err.(interface{ Unwrap() []error }).Unwrap() {
		e, ok := errors.AsType[*channel.ConfigError](one)
		require.True(t, ok)
		paths = append(paths, e.Path)
	}
	assert.Equal(t, []string{"Bucket", "Replicas"}, paths)
}

// FuzzKey: keys lead back to tenants, are keys of NATS, and no two tenants have one.
func FuzzKey(f *testing.F) {
	f.Add("a", "A")
	f.Add("a.b", "a/b")
	f.Add("\x00", "\x00\x00")
	f.Add("*", ">")
	f.Fuzz(func(t *testing.T, a, b string) {
		if a == "" || b == "" || len(a) > manage.MaxTenant || len(b) > manage.MaxTenant {
			return
		}
		for _, tenant := range []string{a, b} {
			got, ok := tenantOf(keyOf(tenant))
			require.True(t, ok)
			require.Equal(t, tenant, got)
			require.Regexp(t, `^[a-zA-Z0-9_-]+$`, keyOf(tenant))
		}
		require.Equal(t, a == b, keyOf(a) == keyOf(b))
		if tenant, ok := tenantOf(a); ok {
			require.Equal(t, a, keyOf(tenant))
		}
	})
}
