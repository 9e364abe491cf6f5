package stored

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
)

// headersFormat begins the stored form of headers: 1 is the number of pairs, then each name and value with its length
// in front, sorted by name. JSON would not bring every byte back.
const headersFormat = 1

var errHeaders = errors.New("stored headers are damaged")

// EncodeHeaders returns nil for nil, which stores keep as NULL.
func EncodeHeaders(headers map[string]string) []byte {
	if headers == nil {
		return nil
	}
	b := binary.AppendUvarint([]byte{headersFormat}, uint64(len(headers)))
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		b = AppendText(AppendText(b, name), headers[name])
	}
	return b
}

// DecodeHeaders reads what EncodeHeaders made.
func DecodeHeaders(b []byte) (map[string]string, error) {
	if b == nil {
		return nil, nil //nolint:nilnil // no headers is what is stored
	}
	if len(b) == 0 || b[0] != headersFormat {
		return nil, errHeaders
	}
	b = b[1:]
	pairs, ok := CutNumber(&b)
	if !ok || pairs > uint64(len(b)) { // a pair has two bytes at least
		return nil, errHeaders
	}
	headers := make(map[string]string, pairs)
	for range pairs {
		name, ok1 := CutText(&b)
		value, ok2 := CutText(&b)
		if !ok1 || !ok2 {
			return nil, errHeaders
		}
		headers[name] = value
	}
	if len(b) > 0 {
		return nil, errHeaders
	}
	return headers, nil
}
