package natsqueue

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// wholeJob uses every field.
func wholeJob() queue.Job {
	at := time.Date(2031, 2, 3, 4, 5, 6, 789_012_345, time.UTC)
	return queue.Job{
		Event: event.Must(event.GrantRevoked{Reason: "<&> \u2028"}, event.Meta{
			ID: "event-1", Source: "https://pam.example/ü", Tenant: "tenant", Subject: "request/1.2", Time: at,
			Attributes: map[string]string{"external_key": "k\n1"},
		}),
		Lane: "audit", OrderKey: "key \xff=&%", Generation: 1_700_000_000_123_456_789, Enqueued: at, NotBefore: at.Add(time.Second),
		FirstTried: at.Add(time.Millisecond), Attempt: 3, Headers: map[string]string{"trace\xfe": "00-ab\r\n", "empty": ""},
	}
}

func equalJobs(t require.TestingT, want, got queue.Job) {
	require.True(t, bytes.Equal(want.Event.JSON(), got.Event.JSON()))
	require.True(t, want.Enqueued.Equal(got.Enqueued) && want.NotBefore.Equal(got.NotBefore) && want.FirstTried.Equal(got.FirstTried))
	require.True(t, maps.Equal(want.Headers, got.Headers))
	require.Equal(t, [...]any{want.Lane, want.OrderKey, want.Generation, want.Attempt, want.ID()},
		[...]any{got.Lane, got.OrderKey, got.Generation, got.Attempt, got.ID()})
}

// A message written by version 1 is read by every later version: the file must not be changed, only be added to.
func TestStoredFormStaysReadable(t *testing.T) {
	t.Parallel()
	file := filepath.Join("testdata", "job.v1")
	m := jobMessage(ptr(wholeJob()))
	written := []byte(m.Header.Get(headerJob) + "\n" + m.Header.Get(headerOrderKey) + "\n" + m.Header.Get(headerHeaders) + "\n" + string(m.Data))
	golden, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(golden), string(written))
	part := bytes.SplitN(golden, []byte("\n"), 4)
	got, err := readJob("audit", nats.Header{
		headerJob: {string(part[0])}, headerOrderKey: {string(part[1])}, headerHeaders: {string(part[2])},
	}, part[3])
	require.NoError(t, err)
	equalJobs(t, wholeJob(), got)
}

func ptr[T any](v T) *T { return &v }

func TestReadJobRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	good := jobMessage(ptr(wholeJob()))
	for _, c := range []struct {
		name   string
		header string
		value  string
		data   []byte
		want   error
	}{
		{"no header", headerJob, "", good.Data, errCorrupt},
		{"a newer version", headerJob, "2 x", good.Data, errNewer},
		{"version 0", headerJob, "0 - - - 0 0", good.Data, errCorrupt},
		{"too few numbers", headerJob, "1 - - - 0", good.Data, errCorrupt},
		{"a bad time", headerJob, "1 1.5 - - 0 0", good.Data, errCorrupt},
		{"a bad attempt", headerJob, "1 - - - -1 0", good.Data, errCorrupt},
		{"a bad generation", headerJob, "1 - - - 0 x", good.Data, errCorrupt},
		{"a bad key", headerOrderKey, "%", good.Data, errCorrupt},
		{"bad headers", headerHeaders, "a=%z", good.Data, errCorrupt},
		{"no event", headerJob, good.Header.Get(headerJob), []byte("{}"), errCorrupt},
	} {
		h := maps.Clone(good.Header)
		h[c.header] = []string{c.value}
		_, err := readJob("audit", h, c.data)
		require.ErrorIs(t, err, c.want, c.name)
	}
}

// Urgent is appended to the numbers, so what other versions wrote and read stays as it is.
func TestUrgentIsKept(t *testing.T) {
	t.Parallel()
	for _, urgent := range []bool{false, true} {
		j := wholeJob()
		j.Urgent = urgent
		m := jobMessage(&j)
		got, err := readJob("audit", m.Header, m.Data)
		require.NoError(t, err)
		assert.Equal(t, urgent, got.Urgent)
		equalJobs(t, j, got)
	}
}

func FuzzReadJob(f *testing.F) {
	whole := jobMessage(ptr(wholeJob()))
	f.Add(whole.Header.Get(headerJob), whole.Header.Get(headerOrderKey), whole.Header.Get(headerHeaders), whole.Data)
	f.Add("1 - - - 0 0", "", "", []byte(`{}`))
	f.Add("2", "%", "=&=", []byte(nil))
	f.Fuzz(func(t *testing.T, numbers, key, headers string, data []byte) {
		j, err := readJob("audit", nats.Header{headerJob: {numbers}, headerOrderKey: {key}, headerHeaders: {headers}}, data)
		if err != nil {
			return
		}
		m := jobMessage(&j)
		again, err := readJob("audit", m.Header, m.Data)
		require.NoError(t, err)
		if len(j.Headers) == 0 {
			j.Headers, again.Headers = nil, nil
		}
		equalJobs(t, j, again)
	})
}
