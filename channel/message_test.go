package channel_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
)

func TestMessageJSON(t *testing.T) {
	t.Parallel()
	header := http.Header{"A": {"1", "2"}}
	for name, tc := range map[string]struct {
		message channel.Message
		want    string
	}{
		"text":                                  {channel.Message{Start: "200 OK", Header: header, Body: []byte("{\"ä\": 1}\n\x00")}, `{"start":"200 OK","header":{"A":["1","2"]},"body_text":"{\"ä\": 1}\n\u0000"}`},
		"no text":                               {channel.Message{Body: []byte{0, 255}}, `{"start":"","body_base64":"AP8="}`},
		"none":                                  {channel.Message{Start: "x"}, `{"start":"x"}`},
		"looks like base64":                     {channel.Message{Body: []byte("AP8=")}, `{"start":"","body_text":"AP8="}`},
		"truncated":                             {channel.Message{Body: []byte("ab"), Truncated: true}, `{"start":"","body_text":"ab","truncated":true}`},
		"cut before its end, but not truncated": {channel.Message{Body: []byte("a\xe2\x82")}, `{"start":"","body_base64":"YeKC"}`},
	} {
		text, err := json.Marshal(tc.message)
		require.NoError(t, err, name)
		assert.Equal(t, tc.want, string(text), name)
		var back channel.Message
		require.NoError(t, json.Unmarshal(text, &back), name)
		assert.Equal(t, tc.message, back, name)
	}
	for cut, want := range map[string]string{"a\xe2\x82": "a", "a\xf0\x9f\x94": "a", "a\xc3": "a", "aä": "aä", "\xe2": ""} {
		text, err := json.Marshal(channel.Message{Body: []byte(cut), Truncated: true})
		require.NoError(t, err)
		var back channel.Message
		require.NoError(t, json.Unmarshal(text, &back))
		assert.Equal(t, want, string(back.Body), "%q is text that was cut", cut)
	}
	var stored channel.Message
	require.NoError(t, json.Unmarshal([]byte(`{"start":"200 OK","header":{"A":["1","2"]},"body":"AP8=","truncated":true}`), &stored))
	assert.Equal(t, channel.Message{Start: "200 OK", Header: header, Body: []byte{0, 255}, Truncated: true}, stored)
	require.Error(t, json.Unmarshal([]byte(`{"start":1}`), new(channel.Message)))
}
