package manage

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
)

// KeySize is the size of a key of Keys in bytes.
const KeySize = 32

// Keys is a Sealer by AES-256-GCM, with keys by their ids: it seals with the current one and opens what any of them has
// sealed. To rotate: give every process the new key beside the old one, make the new one current, call Reseal, and
// remove the old one. Nonces are random, so a key is good for four thousand million documents (2³²; NIST SP 800-38D).
// Safe for concurrent use.
type Keys struct {
	current string
	byID    map[string]cipher.AEAD
}

var _ Resealer = (*Keys)(nil)

// Errors of Keys about what is to be opened.
var (
	ErrNotSealed = errors.New("it was not sealed by this package: store it again through Sealed, or restore it from a backup")
	ErrAltered   = errors.New("it was altered, or sealed for another tenant or with another key of that id: restore it from a backup")
)

// KeyError says that a key cannot be used, or is not there.
type KeyError struct {
	ID      string // "" = none was named
	Problem string
	Remedy  string
}

func (e *KeyError) Error() string {
	return fmt.Sprintf("manage: key %q %s: %s", e.ID, e.Problem, e.Remedy)
}

// NewKeys returns a Sealer that seals with the key of id current. A key has KeySize bytes from a random source, and is
// copied. An id has 1 to 64 letters, digits, "-", "_" and ".", and is stored in front of each document. Errors are
// joined *KeyErrors.
func NewKeys(current string, keys map[string][]byte) (*Keys, error) {
	k := &Keys{current: current, byID: map[string]cipher.AEAD{}}
	var errs []error
	if _, ok := keys[current]; !ok {
		errs = append(errs, &KeyError{ID: current, Problem: "is to seal, and is not among the keys", Remedy: "add it, or name another one"})
	}
	for _, id := range slices.Sorted(maps.Keys(keys)) {
		if !keyID.MatchString(id) {
			errs = append(errs, &KeyError{ID: id, Problem: "has an id that is not allowed", Remedy: `use 1 to 64 letters, digits, "-", "_" and "."`})
		}
		aead, err := newAEAD(keys[id])
		if err != nil {
			errs = append(errs, &KeyError{ID: id, Problem: fmt.Sprintf("has %d bytes", len(keys[id])), Remedy: fmt.Sprintf("use %d random ones", KeySize)})
		}
		k.byID[id] = aead
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return k, nil
}

var keyID = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,64}$`)

func newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != KeySize {
		return nil, aes.KeySizeError(len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// sealMark is the first bytes of what Keys has sealed. Behind it are the length of the key's id in one byte, the id,
// and nonce, text and tag. Mark, id and tenant are authenticated as well.
const sealMark = "tocsin:sealed:1:"

func sealHead(id string) []byte {
	head := append([]byte(sealMark), byte(len(id)))
	return append(head, id...)
}

// cutHead finds the id of the key.
func cutHead(sealed []byte) (id string, text []byte, ok bool) {
	rest, ok := bytes.CutPrefix(sealed, []byte(sealMark))
	if !ok || len(rest) == 0 || len(rest) <= int(rest[0]) {
		return "", nil, false
	}
	id = string(rest[1 : 1+rest[0]])
	return id, rest[1+rest[0]:], keyID.MatchString(id)
}

// Overhead is how many bytes a sealed document has more than its content.
func (k *Keys) Overhead() int { return len(sealHead(k.current)) + k.byID[k.current].Overhead() }

// Seal implements Sealer.
func (k *Keys) Seal(_ context.Context, tenant string, content []byte) ([]byte, error) {
	head := sealHead(k.current)
	return k.byID[k.current].Seal(slices.Clip(head), nil, content, append(bytes.Clone(head), tenant...)), nil
}

// Open implements Sealer. The errors are ErrNotSealed, *KeyError for a key that is not there, and ErrAltered.
func (k *Keys) Open(_ context.Context, tenant string, sealed []byte) ([]byte, error) {
	id, text, ok := cutHead(sealed)
	if !ok {
		return nil, ErrNotSealed
	}
	aead, ok := k.byID[id]
	if !ok {
		return nil, &KeyError{ID: id, Problem: "has sealed it, and is not among the keys", Remedy: "add it to the keys"}
	}
	content, err := aead.Open([]byte{}, nil, text, append(sealHead(id), tenant...))
	if err != nil {
		return nil, ErrAltered
	}
	return content, nil
}

// Stale implements Resealer: it reports whether another key than the current one, or none, has sealed it.
func (k *Keys) Stale(sealed []byte) bool {
	id, _, ok := cutHead(sealed)
	return !ok || id != k.current
}

// String names the current key, and shows none.
func (k *Keys) String() string {
	return fmt.Sprintf("manage.Keys(current %q of %d)", k.current, len(k.byID))
}

// Format implements fmt.Formatter: no verb shows a key.
func (k *Keys) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }

// LogValue implements slog.LogValuer.
func (k *Keys) LogValue() slog.Value { return slog.StringValue(k.String()) }
