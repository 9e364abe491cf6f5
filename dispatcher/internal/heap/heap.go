// Package heap measures memory for tests.
package heap

import "runtime"

// Used is how many bytes of the heap are in use once the garbage is gone, that of pools included.
func Used() int64 {
	runtime.GC()
	runtime.GC() // what pools kept over the first one
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
