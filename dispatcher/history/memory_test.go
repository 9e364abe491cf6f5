package history_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/dispatcher/history/historytest"
)

func TestMemoryConformance(t *testing.T) {
	t.Parallel()
	historytest.Run(t, func(*testing.T) history.Store { return history.NewMemory(0) }, historytest.Options{})
}

func TestMemoryKeepsTheNewest(t *testing.T) {
	t.Parallel()
	m := history.NewMemory(10)
	for i := range 25 {
		require.NoError(t, m.Append(context.Background(), history.Entry{Attempt: 2 * i, Time: time.Now()}, history.Entry{Attempt: 2*i + 1, Time: time.Now()}))
	}
	got := query(t, m, everything())
	require.Len(t, got, 10)
	assert.Equal(t, 40, got[0].Attempt)
	assert.EqualValues(t, 50, got[9].Seq)
}

func BenchmarkMemoryAppend(b *testing.B) {
	m := history.NewMemory(0)
	e := history.Entry{Time: time.Now()}
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Append(context.Background(), e); err != nil {
			b.Fatal(err)
		}
	}
}
