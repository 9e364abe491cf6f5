package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// defaultTolerance is how far from now the timestamp of a request may be, in both directions, unless a Verifier says
// otherwise.
const defaultTolerance = 5 * time.Minute

// Verifier reports whether requests come from who knows a secret. It is safe for concurrent use.
type Verifier struct {
	scheme Scheme
	keys   []*Key
	// Tolerance is how far from Now the timestamp may be. 0 = 5 minutes; longer makes recorded requests
	// longer useful. GitHub's scheme has no timestamp.
	Tolerance time.Duration
	// Now is the clock. nil = time.Now.
	Now func() time.Time
}

// NewVerifier makes a Verifier that trusts each of the secrets, which are as [NewKey] describes: several while the
// sender changes from one to the next. The error joins a *KeyError for each that is not valid, and there is one when
// there is none.
func NewVerifier(s Scheme, secrets ...string) (*Verifier, error) {
	v := &Verifier{scheme: s}
	var errs []error
	for i, secret := range secrets {
		key, err := NewKey(s, secret)
		if err != nil {
			errs = append(errs, fmt.Errorf("secret %d: %w", i+1, err))
		}
		v.keys = append(v.keys, key)
	}
	if len(secrets) == 0 {
		errs = append(errs, &KeyError{"is missing", "give at least one"})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return v, nil
}

// Verify returns nil when a request with this header and body was signed with one of the secrets, not longer ago than
// the tolerance, and an *Error otherwise. body is what was received, byte for byte: read all of it, with a limit,
// before parsing any. Signatures are compared in constant time.
//
// The same request may come again within the tolerance: a sender repeats what it got no response to. With Standard,
// what has the same webhook-id is the same, and needs to be acted on once.
func (v *Verifier) Verify(header http.Header, body []byte) error {
	timeHeader, signatureHeader := v.scheme.Headers()
	value, err := only(header, signatureHeader)
	if err != nil {
		return err
	}
	var id, timestamp string
	if v.scheme == Standard {
		if id, err = only(header, idHeader); err != nil {
			return err
		}
	}
	if timeHeader != "" {
		if timestamp, err = only(header, timeHeader); err != nil {
			return err
		}
	}
	signatures, stamped, ok := v.scheme.parse(value)
	if !ok {
		return &Error{Malformed, signatureHeader}
	}
	if v.scheme == Stripe {
		timestamp, timeHeader = stamped, signatureHeader
	}
	if v.scheme != GitHub {
		if reason := v.judge(timestamp); reason != "" {
			return &Error{reason, timeHeader}
		}
	}
	for _, k := range v.keys {
		state := k.borrow()
		sum := state.compute(v.scheme, id, timestamp, body)
		match := false
		for _, s := range signatures {
			match = hmac.Equal(s[:], sum) || match
		}
		k.giveBack(state)
		if match {
			return nil
		}
	}
	return &Error{Mismatch, signatureHeader}
}

// judge returns why a timestamp is not good, or "".
func (v *Verifier) judge(timestamp string) Reason {
	at, ok := seconds(timestamp)
	if !ok {
		return Malformed
	}
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	tolerance := v.Tolerance
	if tolerance == 0 {
		tolerance = defaultTolerance
	}
	switch age := now().Sub(time.Unix(at, 0)); {
	case age > tolerance:
		return TooOld
	case age < -tolerance:
		return TooNew
	}
	return ""
}

// seconds reads seconds since 1970: digits only, and few enough for a time.
func seconds(s string) (int64, bool) {
	if s == "" || len(s) > 11 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// only returns the one value of a header. A second one could be what somebody else reads.
func only(header http.Header, name string) (string, error) {
	switch values := header.Values(name); {
	case len(values) == 0, len(values) == 1 && values[0] == "":
		return "", &Error{Missing, name}
	case len(values) > 1:
		return "", &Error{Malformed, name}
	default:
		return values[0], nil
	}
}

// most is how many signatures of one header are looked at.
const most = 16

// parse reads the value of a signature header, with the timestamp if that is in it. Signatures of versions that it does
// not know are left out, as the schemes ask for.
func (s Scheme) parse(value string) (signatures [][sha256.Size]byte, timestamp string, ok bool) {
	prefix, separator := s.form()
	parts := []string{value}
	if separator != "" {
		parts = strings.Split(value, separator)
	}
	for _, part := range parts {
		if t, ok := strings.CutPrefix(part, "t="); ok && s == Stripe {
			if timestamp != "" {
				return nil, "", false
			}
			timestamp = t
		}
		text, known := strings.CutPrefix(part, prefix)
		if !known {
			continue
		}
		sum, ok := s.decodeSum(text)
		if !ok || len(signatures) == most {
			return nil, "", false
		}
		signatures = append(signatures, sum)
	}
	return signatures, timestamp, len(signatures) > 0
}

// Reason says why a request is not to be trusted.
type Reason string

// The reasons.
const (
	Missing   Reason = "is missing"                          // a header that the scheme needs is not there
	Malformed Reason = "is not of the scheme's form"         // or is there more than once
	TooOld    Reason = "is too old"                          // the request may have been recorded, or a clock is wrong
	TooNew    Reason = "is in the future"                    // a clock is wrong
	Mismatch  Reason = "has no signature by one of the keys" // somebody else sent it, or it was changed
)

// Error says why a request is not to be trusted. It holds nothing of the request. Answer such a request with 401.
type Error struct {
	Reason Reason
	Header string // the header in question
}

// Error returns header and reason.
func (e *Error) Error() string { return "signature: " + e.Header + " " + string(e.Reason) }
