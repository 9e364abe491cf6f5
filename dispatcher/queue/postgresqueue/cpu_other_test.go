//go:build !unix

package postgresqueue

import "time"

func cpuTime() time.Duration { return 0 }
