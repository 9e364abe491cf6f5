package notice

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDurationInWords(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[int64]string{
		0: "", -5: "", math.MinInt64: "",
		1: "1 second", 59: "59 seconds", 60: "1 minute", 3599: "59 minutes 59 seconds", 3600: "1 hour", 5400: "1 hour 30 minutes",
		86400: "1 day", 86405: "1 day", 90000: "1 day 1 hour", 14 * 86400: "14 days", math.MaxInt64: "106751991167300 days 15 hours",
	} {
		assert.Equal(t, want, duration(seconds), seconds)
	}
}

func TestAmong(t *testing.T) {
	t.Parallel()
	assert.Empty(t, enumerate(nil, 3, "and"))
	assert.Equal(t, "a", enumerate([]string{"", "a"}, 3, "and"))
	assert.Equal(t, "a or b", enumerate([]string{"a", "b"}, 3, "or"))
	assert.Equal(t, "a, b and c", enumerate([]string{"a", "b", "c"}, 3, "and"))
	assert.Equal(t, "a, b and 2 more", enumerate([]string{"a", "b", "c", "d"}, 2, "or"))
	items := []string{"a", "b", "c"}
	enumerate(items, 1, "and")
	assert.Equal(t, []string{"a", "b", "c"}, items)
}

func TestLabel(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"vault.key_rotated": "Vault key rotated", "": "", "._-": "", "über_all": "Über all", "SHA1": "SHA1",
	} {
		assert.Equal(t, want, label(id))
	}
}
