package dedup_test

import (
	"testing"
	"testing/synctest"

	"github.com/tocsin-go/tocsin/dedup"
	"github.com/tocsin-go/tocsin/dedup/deduptest"
)

func TestMemoryConforms(t *testing.T) {
	newMemory := func(*testing.T) dedup.Store { return dedup.NewMemory(dedup.MemoryOptions{}) }
	t.Run("fake clock", func(t *testing.T) {
		deduptest.Run(t, newMemory, deduptest.Options{Bubble: synctest.Test})
	})
	t.Run("real clock", func(t *testing.T) { deduptest.Run(t, newMemory, deduptest.Options{}) })
	t.Run("one shard", func(t *testing.T) {
		deduptest.Run(t, func(*testing.T) dedup.Store {
			return dedup.NewMemory(dedup.MemoryOptions{MaxKeys: 1000})
		}, deduptest.Options{Bubble: synctest.Test})
	})
}
