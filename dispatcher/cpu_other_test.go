//go:build !unix

package dispatcher_test

import "time"

// cpu is not measured here.
func cpu() time.Duration { return 0 }
