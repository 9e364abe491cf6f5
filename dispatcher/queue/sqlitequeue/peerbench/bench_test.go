//go:build unix

package peerbench

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/event"
)

const (
	producers = 64
	workers   = 160
)

// made is an event whose JSON is about 1 KiB; every peer gets one and stores its JSON.
func made(n int64) event.Event {
	return event.Must(event.GrantRevoked{Reason: strings.Repeat("because ", 100)}, event.Meta{ID: fmt.Sprintf("e%d", n)})
}

// peer is a queue as the benchmarks see it: put returns once a job is on the disk; done is called as its handler, once, and
// what follows is the peer's to store.
type peer interface {
	put(ctx context.Context, e event.Event) error
	close()
}

type opener func(b *testing.B, path string, done func(id string)) peer

func peers() []struct {
	name string
	open opener
} {
	return []struct {
		name string
		open opener
	}{{"plain", openPlain}, {"sqlitequeue", openQueue}, {"river", openRiver}}
}

// BenchmarkMixed puts, runs and completes at once: 64 producers, 160 workers, 1 KiB each, synchronous=FULL.
func BenchmarkMixed(b *testing.B) {
	for _, p := range peers() {
		b.Run(p.name, func(b *testing.B) {
			var done atomic.Int64
			all := make(chan struct{})
			q := p.open(b, filepath.Join(b.TempDir(), "queue.db"), func(string) {
				if done.Add(1) == int64(b.N) {
					close(all)
				}
			})
			defer q.close()
			b.ResetTimer()
			before := cpu()
			var next atomic.Int64
			var wg sync.WaitGroup
			for range producers {
				wg.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						if err := q.put(context.Background(), made(n)); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			<-all
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
			b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/job")
		})
	}
}

// cpu is the processor time the process has used, which is steadier than the clock on a busy machine.
func cpu() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkLatency is the time from putting a job to its handler, one job at a time.
func BenchmarkLatency(b *testing.B) {
	for _, p := range peers() {
		b.Run(p.name, func(b *testing.B) {
			started := make(chan time.Time, 1)
			q := p.open(b, filepath.Join(b.TempDir(), "queue.db"), func(string) { started <- time.Now() })
			defer q.close()
			var took []time.Duration
			for n := range b.N {
				began := time.Now()
				require.NoError(b, q.put(context.Background(), made(int64(n))))
				took = append(took, (<-started).Sub(began))
				<-time.After(2 * time.Millisecond)
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}
