package manage_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/webhook/signature"
	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/event"
)

const signingSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func signing(r *receiver) manage.ChannelInput {
	return manage.ChannelInput{Channel: json.RawMessage(`{"type": "webhook", "name": "a", "url": "` + r.url + `", "sign": {"scheme": "standard_webhooks", "secret": "` + signingSecret + `"}}`)}
}

// While a secret changes, the receiver can verify every delivery with the old one and with the new one.
func TestRotationLosesNoDelivery(t *testing.T) {
	t.Parallel()
	s, r := start(t, options(t, manage.NewMemory())), newReceiver(t)
	c := create(t, s, priya, signing(r))
	verifies := func(secret string) bool {
		t.Helper()
		dispatch(t, s, "acme")
		got := r.next(t)
		v, err := signature.NewVerifier(signature.Standard, secret)
		require.NoError(t, err)
		return v.Verify(got.header, []byte(got.body)) == nil
	}
	assert.True(t, verifies(signingSecret))
	out, err := s.RotateSecret(t.Context(), priya, "a", c.ETag, manage.Rotation{})
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now().Add(24*time.Hour), out.PreviousUntil, time.Minute)
	assert.NotEqual(t, c.ETag, out.Channel.ETag)
	assert.NotContains(t, string(out.Channel.Channel), out.Secret)
	assert.True(t, verifies(signingSecret))
	assert.True(t, verifies(out.Secret))

	_, err = s.RotateSecret(t.Context(), priya, "a", c.ETag, manage.Rotation{})
	failure(t, err, manage.CodeStale)
	_, err = s.RotateSecret(t.Context(), priya, "a", "", manage.Rotation{})
	assert.Contains(t, failure(t, err, manage.CodeState).Detail, "still in use")
	_, err = s.RevokePrevious(t.Context(), priya, "a", "")
	require.NoError(t, err)
	assert.False(t, verifies(signingSecret))
	assert.True(t, verifies(out.Secret))
	_, err = s.RotateSecret(t.Context(), priya, "a", "", manage.Rotation{Secret: signingSecret, Overlap: time.Hour})
	require.NoError(t, err)
	assert.True(t, verifies(signingSecret))

	events := s.audit.of(event.TypeSecretRotated)
	require.Len(t, events, 3)
	assert.Contains(t, decode[event.SecretRotated](t, events[0]).Changes, event.FieldChange{Path: "channel.sign.secret", Before: "[redacted]", After: "changed"})
	for _, e := range events {
		assert.NotContains(t, string(e.JSON()), strings.TrimPrefix(signingSecret, "whsec_"))
		assert.NotContains(t, string(e.JSON()), out.Secret)
	}
}

func TestRotationMistakes(t *testing.T) {
	t.Parallel()
	s, r := start(t, options(t, manage.NewMemory())), newReceiver(t)
	create(t, s, priya, signing(r))
	create(t, s, priya, webhook("plain", r.url, ""))
	for field, rotation := range map[string]manage.Rotation{"/overlap": {Overlap: 8 * 24 * time.Hour}, "/secret": {Secret: "short"}} {
		_, err := s.RotateSecret(t.Context(), priya, "a", "", rotation)
		assert.Equal(t, field, failure(t, err, manage.CodeFields).Fields[0].Pointer)
	}
	_, err := s.RotateSecret(t.Context(), priya, "plain", "", manage.Rotation{})
	failure(t, err, manage.CodeState)
	_, err = s.RotateSecret(t.Context(), manage.By{Tenant: "globex"}, "a", "", manage.Rotation{})
	failure(t, err, manage.CodeNotFound)
}
