package signature_test

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/webhook/signature"
)

func schemes() []signature.Scheme {
	return []signature.Scheme{signature.Standard, signature.GitHub, signature.Stripe, signature.Slack}
}

// secrets are valid in every scheme.
var secrets = []string{whsec(24), whsec(32), whsec(48)}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// signed is the header of a request that was signed at noon.
func signed(t testing.TB, s signature.Scheme, body string, with ...string) http.Header {
	t.Helper()
	var keys []*signature.Key
	for _, secret := range with {
		key, err := signature.NewKey(s, secret)
		require.NoError(t, err)
		keys = append(keys, key)
	}
	timestamp, signatures := s.Sign("event-7_on-call", noon, []byte(body), keys...)
	timeHeader, signatureHeader := s.Headers()
	h := http.Header{"Webhook-Id": {"event-7_on-call"}, signatureHeader: {signatures}}
	if timeHeader != "" {
		h[timeHeader] = []string{timestamp}
	}
	return h
}

func verifier(t testing.TB, s signature.Scheme, now time.Time, with ...string) *signature.Verifier {
	t.Helper()
	v, err := signature.NewVerifier(s, with...)
	require.NoError(t, err)
	v.Now = func() time.Time { return now }
	return v
}

// reason returns why a request was refused, or "".
func reason(t testing.TB, err error) signature.Reason {
	t.Helper()
	if err == nil {
		return ""
	}
	refused, ok := errors.AsType[*signature.Error](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, "signature: "+refused.Header+" "+string(refused.Reason), err.Error())
	return refused.Reason
}

func TestS46_VerifyRefusesWhatWasChanged(t *testing.T) {
	t.Parallel()
	const body = `{"amount":1}`
	for _, s := range schemes() {
		v := verifier(t, s, noon, secrets[0])
		timeHeader, signatureHeader := s.Headers()
		good := signed(t, s, body, secrets[0])
		require.NoError(t, v.Verify(good, []byte(body)), s)
		assert.Equal(t, signature.Mismatch, reason(t, v.Verify(good, []byte(`{"amount":2}`))), s)
		assert.Equal(t, signature.Mismatch, reason(t, v.Verify(good, nil)), s)
		assert.Equal(t, signature.Mismatch, reason(t, verifier(t, s, noon, secrets[1]).Verify(good, []byte(body))), s)

		changed := func(name, value string) signature.Reason {
			h := good.Clone()
			if value == "" {
				h.Del(name)
			} else {
				h.Set(name, value)
			}
			return reason(t, v.Verify(h, []byte(body)))
		}
		value := good.Get(signatureHeader)
		assert.Equal(t, signature.Missing, changed(signatureHeader, ""), s)
		assert.Equal(t, signature.Malformed, changed(signatureHeader, "v9,abc"), s)
		assert.Equal(t, signature.Malformed, changed(signatureHeader, value[:len(value)-1]), s)
		assert.Equal(t, signature.Malformed, changed(signatureHeader, value+"0"), s)
		twice := good.Clone()
		twice.Add(signatureHeader, value)
		assert.Equal(t, signature.Malformed, reason(t, v.Verify(twice, []byte(body))), s)
		if s == signature.Standard {
			assert.Equal(t, signature.Mismatch, changed("Webhook-Id", "event-8"))
			assert.Equal(t, signature.Missing, changed("Webhook-Id", ""))
		}
		if timeHeader != "" {
			assert.Equal(t, signature.Missing, changed(timeHeader, ""), s)
			assert.Equal(t, signature.Mismatch, changed(timeHeader, strconv.FormatInt(noon.Unix()+1, 10)), s)
			for _, bad := range []string{"x", "1.5", "-1", "+1", "1e9", "0x1", " 1", "999999999999"} {
				assert.Equal(t, signature.Malformed, changed(timeHeader, bad), "%s %q", s, bad)
			}
		}
	}
	stripe := signed(t, signature.Stripe, body, secrets[0]).Get("Stripe-Signature")
	for value, want := range map[string]signature.Reason{
		strings.Replace(stripe, "t=1", "t=2", 1):    signature.TooNew,
		strings.Replace(stripe, "t=", "t=0", 1):     signature.Mismatch,
		strings.SplitN(stripe, ",", 2)[1]:           signature.Malformed, // without a time
		"t=1," + stripe:                             signature.Malformed, // with two
		strings.Replace(stripe, ",v1=", ",v0=x", 1): signature.Malformed,
	} {
		err := verifier(t, signature.Stripe, noon, secrets[0]).Verify(http.Header{"Stripe-Signature": {value}}, []byte(body))
		assert.Equal(t, want, reason(t, err), value)
	}
}

func TestS46_FiveMinutesToBothSides(t *testing.T) {
	t.Parallel()
	for _, s := range schemes() {
		h := signed(t, s, "x", secrets[0])
		for offset, want := range map[time.Duration]signature.Reason{
			5 * time.Minute: "", 5*time.Minute + time.Millisecond: signature.TooOld, 24 * time.Hour: signature.TooOld,
			-5 * time.Minute: "", -5*time.Minute - time.Millisecond: signature.TooNew,
		} {
			if s == signature.GitHub {
				want = "" // it has no timestamp
			}
			assert.Equal(t, want, reason(t, verifier(t, s, noon.Add(offset), secrets[0]).Verify(h, []byte("x"))), "%s %s", s, offset)
		}
		v := verifier(t, s, noon.Add(time.Minute), secrets[0])
		v.Tolerance = 59 * time.Second
		assert.Equal(t, s != signature.GitHub, v.Verify(h, []byte("x")) != nil, s)
	}
	// Without a clock of its own it is the machine's.
	v, err := signature.NewVerifier(signature.Standard, secrets[0])
	require.NoError(t, err)
	assert.Equal(t, noon.Before(time.Now()), reason(t, v.Verify(signed(t, signature.Standard, "x", secrets[0]), []byte("x"))) == signature.TooOld)
}

// While keys change, one request satisfies receivers with the new key, with the old one, and with both (S43).
func TestS43_Rotation(t *testing.T) {
	t.Parallel()
	for _, s := range []signature.Scheme{signature.Standard, signature.Stripe} {
		h := signed(t, s, "x", secrets[0], secrets[1])
		for name, known := range map[string][]string{"new": {secrets[0]}, "old": {secrets[1]}, "both": {secrets[2], secrets[1]}} {
			assert.NoError(t, verifier(t, s, noon, known...).Verify(h, []byte("x")), "%s %s", s, name)
		}
		assert.Equal(t, signature.Mismatch, reason(t, verifier(t, s, noon, secrets[2]).Verify(h, []byte("x"))))
	}
	h := signed(t, signature.Standard, "x", secrets[0], secrets[1])
	both := strings.Split(h.Get("Webhook-Signature"), " ")
	require.Len(t, both, 2)
	assert.Equal(t, signed(t, signature.Standard, "x", secrets[0]).Get("Webhook-Signature"), both[0], "the newest comes first")
	// Versions to come, such as v1a with public keys, are left to those who know them.
	h.Set("Webhook-Signature", "v1a,abc= "+both[1]+" v2,x")
	assert.NoError(t, verifier(t, signature.Standard, noon, secrets[1]).Verify(h, []byte("x")))
	// Somebody who sends thousands of signatures does not make us compare them all.
	h.Set("Webhook-Signature", strings.Repeat(both[0]+" ", 16)+both[0])
	assert.Equal(t, signature.Malformed, reason(t, verifier(t, signature.Standard, noon, secrets[0]).Verify(h, []byte("x"))))
}

func TestKeysAreSharedByGoroutines(t *testing.T) {
	t.Parallel()
	key, err := signature.NewKey(signature.Standard, secrets[0])
	require.NoError(t, err)
	v := verifier(t, signature.Standard, noon, secrets[0])
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 200 {
				id, body := strconv.Itoa(i), []byte(strconv.Itoa(j))
				timestamp, signatures := signature.Standard.Sign(id, noon, body, key)
				h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {timestamp}, "Webhook-Signature": {signatures}}
				assert.NoError(t, v.Verify(h, body))
			}
		})
	}
	wg.Wait()
}

// Whatever a header holds, Verify answers, and only what was signed is accepted.
func FuzzVerify(f *testing.F) {
	for _, s := range schemes() {
		h := signed(f, s, "body", secrets[0])
		timeHeader, signatureHeader := s.Headers()
		f.Add(uint8(s), h.Get("Webhook-Id"), h.Get(timeHeader), h.Get(signatureHeader), []byte("body"))
		f.Add(uint8(s), "", "1e9", "v1,=,v1=,t=,sha256=,v0=", []byte{})
	}
	f.Fuzz(func(t *testing.T, scheme uint8, id, timestamp, signatures string, body []byte) {
		s := signature.Scheme(scheme%4) + signature.Standard
		timeHeader, signatureHeader := s.Headers()
		h := http.Header{"Webhook-Id": {id}, signatureHeader: {signatures}}
		if timeHeader != "" {
			h.Set(timeHeader, timestamp)
		}
		err := verifier(t, s, noon, secrets[0]).Verify(h, body)
		if reason(t, err) != "" {
			return
		}
		own := signed(t, s, string(body), secrets[0])
		own.Set("Webhook-Id", id)
		assert.True(t, id == "event-7_on-call" || s != signature.Standard, "somebody else's id was accepted")
		assert.NoError(t, verifier(t, s, noon, secrets[0]).Verify(own, body))
	})
}
