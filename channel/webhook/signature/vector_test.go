package signature_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/webhook/signature"
)

// vector is a signed request that somebody else published.
type vector struct {
	scheme     signature.Scheme
	secret, id string
	at         int64
	body       string
	timestamp  string // as its header has it
	signature  string
}

func vectors() map[string]vector {
	return map[string]vector{
		"reference libraries of Standard Webhooks": {
			signature.Standard, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
			`{"test": 2432232314}`, "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
		},
		"documentation of GitHub": {
			signature.GitHub, "It's a Secret to Everybody", "", 0,
			"Hello, World!", "", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
		},
		"documentation of Slack": {
			signature.Slack, "8f742231b10e8888abcd99yyyzzz85a5", "", 1531420618,
			"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&" +
				"user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com" +
				"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
			"1531420618", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
		},
	}
}

func (v vector) header() http.Header {
	h := http.Header{}
	if v.id != "" {
		h.Set("webhook-id", v.id)
	}
	timestamp, signatures := v.scheme.Headers()
	if timestamp != "" {
		h.Set(timestamp, v.timestamp)
	}
	h.Set(signatures, v.signature)
	return h
}

func TestS41_S46_PublishedVectors(t *testing.T) {
	t.Parallel()
	for name, v := range vectors() {
		key, err := signature.NewKey(v.scheme, v.secret)
		require.NoError(t, err)
		timestamp, signatures := v.scheme.Sign(v.id, time.Unix(v.at, 0), []byte(v.body), key)
		assert.Equal(t, v.signature, signatures, name)
		if v.timestamp != "" {
			assert.Equal(t, v.timestamp, timestamp, name)
		}
		verifier, err := signature.NewVerifier(v.scheme, v.secret)
		require.NoError(t, err)
		verifier.Now = func() time.Time { return time.Unix(v.at, 0).Add(4 * time.Minute) }
		assert.NoError(t, verifier.Verify(v.header(), []byte(v.body)), name)
		assert.Error(t, verifier.Verify(v.header(), []byte(v.body+" ")), name)
	}
}
