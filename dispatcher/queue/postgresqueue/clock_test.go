package postgresqueue

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// The clock never shows a time that the server's may not have reached, and follows the server's.
func TestClockIsNotAhead(t *testing.T) {
	t.Parallel()
	var here time.Duration
	c := &clock{elapsed: func() int64 { return int64(here) }}
	server := time.Unix(1000, 0)
	ask := func(there, back time.Duration) { // a question that takes so long each way
		sent := here
		here, server = here+there, server.Add(there)
		shown := server
		here, server = here+back, server.Add(back)
		c.follow(shown, int64(sent), int64(here))
	}
	lag := func() time.Duration { return time.Duration(server.UnixNano() - c.now()) }

	ask(time.Millisecond, 30*time.Millisecond)
	assert.Equal(t, 30*time.Millisecond, lag(), "the way back")
	for range 10 {
		ask(50*time.Millisecond, time.Millisecond)
	}
	assert.Equal(t, time.Millisecond, lag(), "the shortest way back")
	ask(0, 50*time.Millisecond)
	assert.Equal(t, time.Millisecond, lag(), "a longer one says nothing")

	server = server.Add(-20 * time.Millisecond)
	for range 10 {
		ask(time.Millisecond, time.Millisecond)
	}
	assert.Equal(t, time.Millisecond, lag(), "the server's clock has lost some time")
	server = server.Add(-time.Hour)
	ask(time.Millisecond, time.Millisecond)
	assert.Equal(t, time.Millisecond, lag(), "the server's clock was set")
}
