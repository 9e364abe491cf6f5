package main

import (
	"runtime"
	"syscall"
	"time"
)

// cost is what this process has used.
type cost struct {
	cpu, wall   time.Duration
	allocations uint64
}

// spent is the cost so far, of all goroutines and the garbage collector.
func spent() cost {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // fails for a bad address only
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return cost{
		cpu:         time.Duration(usage.Utime.Nano() + usage.Stime.Nano()),
		wall:        time.Duration(time.Now().UnixNano()),
		allocations: memory.Mallocs,
	}
}

func (c cost) minus(o cost) cost {
	return cost{c.cpu - o.cpu, c.wall - o.wall, c.allocations - o.allocations}
}

// held is the memory in use after a collection, stacks included.
func held() int64 {
	runtime.GC()
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return int64(memory.HeapAlloc + memory.StackInuse)
}
