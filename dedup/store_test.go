package dedup

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestKeyIsStable pins keys that may be stored. The values were computed apart from this code, with Python's hashlib.
func TestKeyIsStable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		parts []string
		want  string
	}{
		{nil, "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"},
		{[]string{""}, "r1Vw9aGBC3r3jK9LxwpmDw31HkK6-R1N5bIyjeDoPfw"},
		{[]string{"tenant", "route", "request.approved"}, "G7CeL1XBwKjNaqYKMHJgmpsAxElo-8BxaRvHMJcqhKA"},
	} {
		var parts [][]byte
		for _, p := range tt.parts {
			parts = append(parts, []byte(p))
		}
		assert.Equal(t, tt.want, Key(parts...), "%q", tt.parts)
	}
}

// FuzzKey: two lists of parts have the same key if, and only if, they are the same list.
func FuzzKey(f *testing.F) {
	f.Add([]byte("ab"), uint(0), uint(1), uint(1), uint(2))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x01a"), uint(0), uint(8), uint(0), uint(9))
	f.Add(append(make([]byte, 16), "x"...), uint(8), uint(8), uint(8), uint(16))
	f.Fuzz(func(t *testing.T, data []byte, i1, i2, j1, j2 uint) {
		a, b := split(data, i1, i2), split(data, j1, j2)
		assert.Equal(t, equal(a, b), Key(a...) == Key(b...), "%q and %q", a, b)

		keys := map[string]bool{}
		lists := [][][]byte{nil, {data}, {data, nil}, {nil, data}, a, append(a[:len(a):len(a)], nil)}
		distinct := 0
		for n, l := range lists {
			keys[Key(l...)] = true
			fresh := true
			for _, m := range lists[:n] {
				fresh = fresh && !equal(l, m)
			}
			if fresh {
				distinct++
			}
		}
		assert.Len(t, keys, distinct, "%q", lists)
	})
}

// split cuts data at two places into three parts.
func split(data []byte, i, j uint) [][]byte {
	n := uint(len(data)) + 1
	i, j = min(i%n, j%n), max(i%n, j%n)
	return [][]byte{data[:i], data[i:j], data[j:]}
}

func equal(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}
