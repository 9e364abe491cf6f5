package event

import "bytes"

// The functions here walk over bytes that are known to be one valid JSON value.

// tooDeep tells whether the value b is nested deeper than maxDepth.
func tooDeep(b []byte) bool {
	if bytes.Count(b, []byte{'{'})+bytes.Count(b, []byte{'['}) <= maxDepth {
		return false // the usual case, without looking at every byte
	}
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = stringEnd(b, i) - 1
		case '{', '[':
			if depth++; depth > maxDepth {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return false
}

// stringEnd returns the index behind the string that begins at b[i].
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// valueEnd returns the index behind the value that begins at b[i].
func valueEnd(b []byte, i int) int {
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = stringEnd(b, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
		if depth == 0 && (b[i] == '"' || b[i] == '}' || b[i] == ']') {
			return i + 1
		}
	}
	return i
}

// skip returns the index of the first byte from i on that is neither a blank nor c.
func skip(b []byte, i int, c byte) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n' || b[i] == c) {
		i++
	}
	return i
}

// members calls f with the name, still quoted, and the value of each member of the object b, until f returns an error.
func members(b []byte, f func(name, value []byte) error) error {
	i := skip(b, 0, '{')
	for b[i] != '}' {
		end := stringEnd(b, i)
		name := b[i:end]
		i = skip(b, end, ':')
		end = valueEnd(b, i)
		if err := f(name, b[i:end]); err != nil {
			return err
		}
		i = skip(b, end, ',')
	}
	return nil
}
