// Package duration writes durations for people, as documents and errors have them.
package duration

import (
	"strings"
	"time"
)

// Text is d without parts that are zero: 24h, not 24h0m0s.
func Text(d time.Duration) string {
	return strings.Replace(strings.Replace(d.String(), "m0s", "m", 1), "h0m", "h", 1)
}
