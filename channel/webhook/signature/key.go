package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// Key is a secret made ready for use: what depends on it alone is computed once. It is safe for concurrent use, and
// printed without the secret.
type Key struct {
	states func() *sync.Pool // of *state; behind a function, so that package fmt finds nothing
}

// KeyError says why a text cannot be a secret. It holds nothing of the text.
type KeyError struct {
	Problem string // what is wrong with it
	Remedy  string // what to do about it
}

// Error returns problem and remedy in one line.
func (e *KeyError) Error() string { return "signature: the secret " + e.Problem + "; " + e.Remedy }

// remake is the remedy for what is no secret of Standard.
const remake = `make one of 24 to 64 random bytes in standard base64 behind "whsec_"`

const (
	standardPrefix   = "whsec_"
	shortestStandard = 24 // bytes, as is the longest; both are the specification's
	longestStandard  = 64
	shortestOther    = 16
)

// NewKey makes a Key of a secret. For Standard that is "whsec_" and 24 to 64 random bytes in standard base64; such a
// text is made by
//
//	b := make([]byte, 32)
//	rand.Read(b) // crypto/rand
//	secret := "whsec_" + base64.StdEncoding.EncodeToString(b)
//
// The prefix is required, because a text without it may be base64 or the key itself, and a wrong guess shows only at
// the receiver. For the others it is any text of at least 16 characters, because a shorter one can be guessed by
// whoever sees a request with its signature. Errors are *KeyError.
func NewKey(s Scheme, secret string) (*Key, error) {
	if !s.IsValid() {
		return nil, &KeyError{"is for a scheme that is not one of the constants", "use one of them"}
	}
	bytes := []byte(secret)
	if s == Standard {
		encoded, ok := strings.CutPrefix(secret, standardPrefix)
		if !ok {
			return nil, &KeyError{`does not begin with "whsec_"`,
				`put "whsec_" before it if it is base64 of 24 to 64 bytes, and encode it in standard base64 first if it is not`}
		}
		var err error
		if bytes, err = base64.StdEncoding.Strict().DecodeString(encoded); err != nil || strings.ContainsAny(encoded, "\r\n") {
			return nil, &KeyError{`is not standard base64, with padding, after "whsec_"`, remake}
		}
		if len(bytes) < shortestStandard || len(bytes) > longestStandard {
			return nil, &KeyError{"is not 24 to 64 bytes long when it is decoded", remake}
		}
	} else if len(secret) < shortestOther {
		return nil, &KeyError{"is shorter than 16 characters", "agree on a longer one with the receiver"}
	}
	pool := &sync.Pool{New: func() any { return &state{mac: hmac.New(sha256.New, bytes)} }}
	return &Key{func() *sync.Pool { return pool }}, nil
}

// state computes one signature at a time. After its first use it begins the next one where the key has been worked in.
type state struct {
	mac  hash.Hash
	head []byte
	sum  [sha256.Size]byte
}

// borrow returns a state of k's. Give it back when its sum is no longer needed.
func (k *Key) borrow() *state {
	return k.states().Get().(*state) //nolint:forcetypeassert // NewKey puts nothing else in
}

func (k *Key) giveBack(s *state) { k.states().Put(s) }

// compute returns the signature of a request, which is valid until the next call.
func (s *state) compute(scheme Scheme, id, timestamp string, body []byte) []byte {
	s.head = scheme.appendHead(s.head[:0], id, timestamp)
	s.mac.Reset()
	s.mac.Write(s.head)
	s.mac.Write(body)
	return s.mac.Sum(s.sum[:0])
}

// Format prints no more than that it is a key, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "signature.Key") }

// LogValue is what Format prints.
func (k Key) LogValue() slog.Value { return slog.StringValue("signature.Key") }
