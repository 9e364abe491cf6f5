package secret

import "math/bits"

// block is how many bytes a filter looks at at once.
const block = 3

// filter tells quickly that a text holds none of many patterns, by the method of Wu and Manber (A fast algorithm for
// multi-pattern searching, 1994): the last three bytes of a window, which is as long as the shortest pattern, say how
// far the window can move.
type filter struct {
	window int
	shift  []uint8
	down   uint                // reduces a 32-bit hash to an index of shift
	ends   map[uint32]struct{} // blocks at the end of the first window of a pattern
}

// newFilter returns nil when there are no patterns.
func newFilter(patterns []pattern) *filter {
	if len(patterns) == 0 {
		return nil
	}
	window := 16 // longer ones need a larger table than they are worth
	for _, p := range patterns {
		window = min(window, len(p.text))
	}
	size := min(max(8, bits.Len(uint(len(patterns)*window*16))), 14)
	f := &filter{window, make([]uint8, 1<<size), uint(32 - size), make(map[uint32]struct{}, len(patterns))}
	for i := range f.shift {
		f.shift[i] = uint8(window - block + 1)
	}
	var keys []uint32
	for _, p := range patterns {
		for end := block; end <= window; end++ {
			keys = keysOf(keys, p.text[end-block:end])
			for _, k := range keys {
				h := f.slot(k)
				f.shift[h] = min(f.shift[h], uint8(window-end))
				if end == window {
					f.ends[k] = struct{}{}
				}
			}
		}
	}
	return f
}

// keysOf appends the keys of all blocks that are the same as b to an automaton.
func keysOf(keys []uint32, b string) []uint32 {
	keys = append(keys[:0], 0)
	for i := range block {
		c := fold(b[i])
		for j, n := 0, len(keys); j < n; j++ {
			if c == fold('+') {
				keys = append(keys, keys[j]|'+'<<(8*i))
			}
			keys[j] |= uint32(c) << (8 * i)
		}
	}
	return keys
}

// excludes reports that s holds no pattern, if that is easy to see.
func excludes[T string | []byte](f *filter, s T) bool {
	for i := f.window - 1; i < len(s); {
		k := uint32(s[i-2]) | uint32(s[i-1])<<8 | uint32(s[i])<<16
		move := f.shift[f.slot(k)]
		if move == 0 {
			if _, suspect := f.ends[k]; suspect {
				return false
			}
			move = 1
		}
		i += int(move)
	}
	return true
}

func (f *filter) slot(key uint32) uint32 { return key * 0x9E3779B1 >> f.down }
