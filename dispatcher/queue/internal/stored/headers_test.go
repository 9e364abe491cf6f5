package stored_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/stored"
)

func TestQ3HeadersComeBack(t *testing.T) {
	t.Parallel()
	for _, h := range []map[string]string{nil, {}, {"": ""}, {"a": "\xff\x00", "b": "x", "traceparent": "00-ab"}} {
		back, err := stored.DecodeHeaders(stored.EncodeHeaders(h))
		require.NoError(t, err)
		assert.Equal(t, h, back)
	}
	assert.Equal(t, stored.EncodeHeaders(map[string]string{"a": "1", "b": "2"}), []byte("\x01\x02\x01a\x011\x01b\x012"), "the stored form is forever")
}

func FuzzHeaders(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(stored.EncodeHeaders(map[string]string{"a": "1", "bc": ""}))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := stored.DecodeHeaders(b)
		if err != nil {
			return
		}
		again, err := stored.DecodeHeaders(stored.EncodeHeaders(h))
		require.NoError(t, err)
		assert.Equal(t, h, again)
	})
}
