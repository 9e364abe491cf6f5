package sns_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/channel/sns"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// Whatever makes the message, the subject line and an attribute of a test say that it is one, within the limits of SNS;
// no other message has the word.
func TestATestSaysSo(t *testing.T) {
	t.Parallel()
	aws := newCloud()
	target := serve(t, aws)
	d := justified(t, "it is urgent", event.Meta{Tenant: "acme", Attributes: map[string]string{"a": "1", "b": "2", "c": "3", "d": "4"}})
	title := notice.Of(d.Event).Title
	for name, row := range map[string]struct {
		c       sns.Config
		subject string // of the event that is no test
		test    string
	}{
		"event":          {sns.Config{}, "", "TEST: " + title},
		"body":           {sns.Config{Body: compile(t, template.Text, "{{data.friendly_id}}")}, "", "TEST: " + title},
		"subject":        {sns.Config{Subject: compile(t, template.Header, " {{data.friendly_id}}")}, "AR-2047", "TEST: AR-2047"},
		"marked subject": {sns.Config{Subject: compile(t, template.Header, "{{#if test}}TEST: {{/if}}x")}, "x", "TEST: x"},
		"empty subject":  {sns.Config{Subject: compile(t, template.Header, "{{data.nothing}}")}, "", "TEST: " + title},
		"long subject": {
			sns.Config{Subject: compile(t, template.Header, strings.Repeat("𝄞", 100))},
			strings.Repeat("𝄞", 49) + "…", "TEST: " + strings.Repeat("𝄞", 46) + "…",
		},
		"fifo, all attributes": {
			sns.Config{TopicARN: fifoARN, Attributes: []sns.Attribute{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}}, "", "TEST: " + title,
		},
	} {
		row.c.Endpoint = target
		ch := open(t, row.c)
		usual := last(t, ch, aws, d).form
		assert.NotContains(t, usual.Encode(), "TEST", name)
		assert.Equal(t, row.subject, usual.Get("Subject"), name)
		assert.NotContains(t, attributes(t, usual), "test", name)

		tried := d
		tried.Event = d.Event.ForTest()
		test := last(t, ch, aws, tried).form
		assert.Equal(t, row.test, test.Get("Subject"), name)
		got := attributes(t, test)
		assert.Equal(t, "true", got["test"], name)
		assert.Equal(t, "info", got["severity"], name)
		assert.NotContains(t, got, "subject", "a subscriber must not take it for news about the subject")
		assert.LessOrEqual(t, len(got), 10, name)
		assert.Len(t, got, len(attributes(t, usual)), name)
		if row.c.Body == nil {
			assert.Contains(t, test.Get("Message"), `"test":true`, name)
		} else {
			assert.Equal(t, usual.Get("Message"), test.Get("Message"), name)
		}
		if row.c.TopicARN == fifoARN {
			assert.NotEqual(t, usual.Get("MessageGroupId"), test.Get("MessageGroupId"))
		}
	}
}

func TestNoAttributeIsNamedTest(t *testing.T) {
	t.Parallel()
	_, err := sns.New(sns.Config{TopicARN: topicARN, Attributes: []sns.Attribute{{Name: "test"}}})
	assert.ErrorContains(t, err, "Attributes[0].Name is the name of an attribute that every message has")
}
