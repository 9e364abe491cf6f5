package main

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The program's claims are checked at the receivers, and then that the reader can see them.
func TestTheStory(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out bytes.Buffer
	r, err := run(ctx, &out)
	require.NoError(t, err, "%s", out.String())

	messages := r.slack.Messages()
	require.NotEmpty(t, messages)
	message := messages[0]
	assert.Contains(t, message.Lines, "*Status* Expired", "it shows how things stand")
	assert.Subset(t, message.Lines, strings.Split(justification, "\n"))
	var replies []string
	for _, reply := range messages[1:] {
		assert.Equal(t, message.TS, reply.ThreadTS, "one message about one request")
		replies = append(replies, reply.Lines[0])
		assert.False(t, reply.Broadcast, "nothing here has to be acted on")
	}
	assert.Equal(t, []string{
		"🔵 Access request AR-2047 is approved",
		"🔵 Access of Priya Nair is active (AR-2047)",
		"🟠 Access of Priya Nair ends soon (AR-2047)",
		"🔵 Access of Priya Nair has ended (AR-2047)",
	}, replies, "the thread says how that came")
	for _, m := range messages {
		assert.Empty(t, m.Mentions, "nobody is called")
	}

	require.Len(t, r.relay.Mails(), 5)
	ids := map[string]bool{}
	for _, m := range r.relay.Mails() {
		assert.Equal(t, []string{"priya.nair@example.com"}, m.To, "whoever asks, and nobody else")
		assert.True(t, m.TLS)
		assert.NotContains(t, m.Header, "Bcc")
		assert.Equal(t, "AR-2047: "+strings.ReplaceAll(justification, "\n", " "), m.Subject)
		assert.Equal(t, "<thread.4139e18a6bca1760b0d5b2431b949f4e@pam.example>", m.Header.Get("In-Reply-To"), "one thread")
		ids[m.Header.Get("Message-ID")] = true
		assert.Contains(t, m.Text, strings.ReplaceAll(justification, "\n", "\n  "), "indented, so that it is no line of ours")
		assert.Contains(t, m.HTML, "&lt;!channel&gt;")
		assert.NotContains(t, m.HTML, "<!channel>")
	}
	assert.Len(t, ids, 5)

	require.Len(t, r.topic.published, 5)
	var types []string
	for _, m := range r.topic.published {
		e, err := event.Parse([]byte(m.message))
		require.NoError(t, err)
		assert.Equal(t, "acme/"+e.Subject(), m.group)
		assert.Contains(t, m.dedup, e.ID())
		assert.Equal(t, string(e.Type()), m.attributes["event_type"])
		request, err := event.Decode[event.RequestPending](e)
		if e.Type() == event.TypeRequestPending && assert.NoError(t, err) {
			assert.Equal(t, justification, request.Justification, "byte for byte")
		}
		types = append(types, string(e.Type()))
	}
	assert.Equal(t, []string{"request.pending", "request.approved", "grant.active", "grant.expiring_soon", "grant.expired"}, types)

	for _, text := range []string{
		"── 5. grant.expired: the access is gone ──\n",
		"    │ INC-48213: charged twice <!channel> \"now\"\n    │ Bcc: all@example.com\n",
		"    │ To: <priya.nair@example.com>\n",
		"    its reason in the HTML form:\n      INC-48213: charged twice &lt;!channel&gt; &quot;now&quot;<br>\n      Bcc: all@example.com\n",
		`    │     "justification": "INC-48213: charged twice <!channel> \"now\"\nBcc: all@example.com",` + "\n",
		"Slack shows \"🔵 Access of Priya Nair has ended (AR-2047)\" with 4 replies; people called: 0.\n" +
			"Mails to priya.nair@example.com: 5.\nSNS took 5 messages, each with a good signature.\n",
	} {
		assert.Contains(t, out.String(), text)
	}
}

// The scenario proves nothing unless the topic would notice.
func TestTheTopicNotices(t *testing.T) {
	t.Parallel()
	sns := newTopic()
	defer sns.Close()
	for name, authorization := range map[string]string{
		"no signature":        "",
		"a made-up signature": "AWS4-HMAC-SHA256 Credential=" + keyID + "/20261123/eu-west-1/sns/aws4_request, SignedHeaders=host, Signature=00",
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, sns.URL+"/", strings.NewReader("Action=Publish"))
			require.NoError(t, err)
			req.Header.Set("Authorization", authorization)
			req.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"))
			resp, err := sns.Client().Do(req)
			require.NoError(t, err)
			defer resp.Body.Close()
			var answer bytes.Buffer
			_, err = answer.ReadFrom(resp.Body)
			require.NoError(t, err)
			assert.Contains(t, answer.String(), "SignatureDoesNotMatch")
		})
	}
}
