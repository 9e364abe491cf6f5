package duration_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/dispatcher/internal/duration"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestText(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"0s": 0, "1.5s": 1500 * time.Millisecond, "10s": 10 * time.Second, "10m": 10 * time.Minute, "10m10s": 10*time.Minute + 10*time.Second,
		"24h": 24 * time.Hour, "10h10m": 10*time.Hour + 10*time.Minute, "10h10s": 10*time.Hour + 10*time.Second, "-1h": -time.Hour,
	} {
		assert.Equal(t, want, duration.Text(d))
		back, err := time.ParseDuration(want)
		require.NoError(t, err)
		assert.Equal(t, d, back)
	}
}
