package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook/signature"
)

// Signing says how requests are signed. The zero value is not at all. It is printed without its secrets.
type Signing struct {
	enabled bool
	scheme  signature.Scheme
	keys    []SigningKey
}

// SigningKey is a secret that requests are signed with.
type SigningKey struct {
	Secret   secret.Value // as signature.NewKey describes
	NotAfter time.Time    // when it is no longer used; zero = never
}

// Sign signs each request, over the bytes that are sent, with the id of the delivery and the time of the attempt. The
// headers are those of the scheme, in receipts too: a signature does not tell the secret.
//
// To change the secret of a scheme that rotates, put the new one first and give the old one the time by which every
// receiver has changed over: until then requests carry both signatures. GitHub's and Slack's receivers look for one
// signature, so they take one key. Forms and plain text are signed like JSON, but see [FormBody] for who can check
// that. When no key is left, nothing is sent: attempts fail with [KindSecret].
func Sign(s signature.Scheme, keys ...SigningKey) Signing {
	return Signing{true, s, slices.Clone(keys)}
}

// validate returns what is wrong with s as far as it is known without asking a source.
func (s Signing) validate() error {
	switch {
	case !s.enabled:
		return nil
	case !s.scheme.IsValid():
		return configError(channel.CodeUnknown, "Sign", "has an unknown scheme", "use one of package signature")
	case len(s.keys) == 0:
		return configError(channel.CodeMissing, "Sign", "has no key", "give one, or do not sign")
	case len(s.keys) > 1 && !s.scheme.Rotates():
		return configError(channel.CodeRange, "Sign", "has several keys, but a request has one signature in the style of "+s.scheme.String(), "give one")
	}
	var errs []error
	for i, k := range s.keys {
		literal, ok := literalOf(k.Secret)
		switch _, wrong := s.key(literal); {
		case k.Secret.IsZero():
			errs = append(errs, configError(channel.CodeMissing, signingKey(i), "is missing", "give it"))
		case ok && wrong != nil:
			errs = append(errs, configError(channel.CodeInvalid, signingKey(i), wrong.Problem, wrong.Remedy))
		}
	}
	return errors.Join(errs...)
}

// signingKey is the path of a key in configuration errors.
func signingKey(i int) string { return fmt.Sprintf("Sign[%d]", i) }

// key makes a key of a secret, or says what is wrong with that.
func (s Signing) key(text string) (*signature.Key, *signature.KeyError) {
	k, err := signature.NewKey(s.scheme, text)
	wrong, _ := errors.AsType[*signature.KeyError](err)
	return k, wrong
}

// headers lists the canonical names of those that s sets.
func (s Signing) headers() []string {
	timestamp, signatures := s.scheme.Headers()
	return []string{timestamp, signatures}
}

// reveal makes the keys, in their order. The error is that of secret.Value.Reveal, or a *secret.SourceError.
func (s Signing) reveal(ctx context.Context) ([]*signature.Key, error) {
	var keys []*signature.Key
	for _, k := range s.keys {
		text, err := k.Secret.Reveal(ctx)
		if err != nil {
			return nil, err
		}
		key, wrong := s.key(text)
		if wrong != nil {
			return nil, &secret.SourceError{Source: k.Secret.Source(), Reason: wrong.Problem}
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// valid returns those of keys, which are s's, that may be used now.
func (s Signing) valid(keys []*signature.Key, now time.Time) []*signature.Key {
	over := func(k SigningKey) bool { return !k.NotAfter.IsZero() && now.After(k.NotAfter) }
	if !slices.ContainsFunc(s.keys, over) {
		return keys
	}
	var left []*signature.Key
	for i, k := range s.keys {
		if !over(k) {
			left = append(left, keys[i])
		}
	}
	return left
}

// sign makes the signature of a, if it is enabled.
func (c *core) sign(a *attempt, now time.Time) error {
	s := c.config.Sign
	if !s.enabled {
		return nil
	}
	keys := s.valid(a.template.keys, now)
	if len(keys) == 0 {
		e := c.newError(KindSecret)
		e.detail = "every key of Sign is past its NotAfter"
		return e
	}
	a.timestamp[0], a.signature[0] = s.scheme.Sign(a.id[0], now, a.body, keys...)
	return nil
}

// setSignature sets the headers of a's signature.
func (s Signing) setSignature(header http.Header, a *attempt) {
	if !s.enabled {
		return
	}
	timestamp, signatures := s.scheme.Headers()
	if timestamp != "" {
		header[timestamp] = a.timestamp[:]
	}
	header[signatures] = a.signature[:]
}
