package slacktest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest/slacktest"
)

func TestWhatPeopleSee(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		message         string
		lines, mentions []string
	}{
		"text": {`{"text":"*a* &lt;b&gt; &amp;amp;\nc"}`, []string{"*a* <b> &amp;", "c"}, nil},
		"marks": {`{"text":"<https://a.example> <https://a.example|here> <!date^1^{date}|long ago> <!channel> <@U1|jo> &lt;!here&gt;"}`,
			[]string{"https://a.example here (https://a.example) long ago @channel @U1 <!here>"}, []string{"!channel", "@U1"}},
		"blocks": {`{"text":"<!here>","blocks":[
			{"type":"header","text":{"type":"plain_text","text":"<!channel> &amp;"}},
			{"type":"divider"},
			{"type":"section","text":{"type":"mrkdwn","text":"a\nb"},"fields":[{"type":"mrkdwn","text":"*c*"},{"type":"plain_text","text":"<d>"},{"type":"mrkdwn","text":"e"}]},
			{"type":"context","elements":[{"type":"image","image_url":"x","alt_text":"x"},{"type":"mrkdwn","text":"<@U1>"},{"type":"plain_text","text":"g"}]}]}`,
			[]string{"<!channel> &amp;", "a", "b", "*c* <d>", "e", "@U1 · g"}, []string{"!here", "@U1"}},
		"another shape": {`{"text":"x","blocks":[{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"x"}}]}]}`, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := slacktest.Start(t)
			require.Equal(t, "ok", post(t, s.Hook(), tt.message).body)
			m := s.Messages()[0]
			assert.Equal(t, tt.lines, m.Lines)
			assert.Equal(t, tt.mentions, m.Mentions)
			if strings.Contains(tt.message, "blocks") {
				assert.Contains(t, tt.message, string(m.Blocks))
				assert.NotEmpty(t, m.Blocks)
			} else {
				assert.Nil(t, m.Blocks)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	section := func(n int) string {
		return `{"type":"section","text":{"type":"mrkdwn","text":"` + strings.Repeat("x", n) + `"}}`
	}
	field := `{"type":"mrkdwn","text":"x"}`
	fields := func(n int) string {
		return `{"blocks":[{"type":"section","fields":[` + strings.TrimSuffix(strings.Repeat(field+",", n), ",") + `]}]}`
	}
	for message, want := range map[string][]string{
		`{"text":"x"}`: nil,
		`{"blocks":[{"type":"divider"},{"type":"actions"}]}`:                          nil,
		`{"blocks":[` + section(3000) + `]}`:                                          nil,
		fields(10):                                                                    nil,
		`{"blocks":[{"type":"context","elements":[{"type":"image"}]}]}`:               nil,
		`{"blocks":[` + strings.Repeat(`{"type":"divider"},`, 49) + section(1) + `]}`: nil,
		"\xff":                               {"message is not UTF-8", "message is not a JSON object"},
		`null`:                               {"message is not a JSON object"},
		`[]`:                                 {"message is not a JSON object"},
		`{}`:                                 {"message has neither text nor blocks nor attachments"},
		`{"text":1}`:                         {"text is not a string"},
		`{"text":"x","blocks":{}}`:           {"blocks is not a list"},
		`{"blocks":[1,{"type":7}]}`:          {"blocks[0] has no type", "blocks[1] has no type"},
		`{"blocks":[` + section(0) + `]}`:    {"blocks[0].text has 0 characters, not 1 to 3000"},
		`{"blocks":[` + section(3001) + `]}`: {"blocks[0].text has 3001 characters, not 1 to 3000"},
		fields(0):                            {"blocks[0].fields are 0, not 1 to 10"},
		fields(11):                           {"blocks[0].fields are 11, not 1 to 10"},
		`{"blocks":[{"type":"section"}]}`:    {"blocks[0] has neither text nor fields"},
		`{"blocks":[{"type":"context","elements":[` + field + `,{"type":"plain_text","text":" \n"}]}]}`: {"blocks[0].elements[1] has 2 characters, not 1 to 3000"},
		`{"blocks":[{"type":"header","text":{"type":"mrkdwn","text":"` + strings.Repeat("𝄞", 76) + `"}}]}`: {
			`blocks[0].text is of type "mrkdwn", not plain_text`, "blocks[0].text has 152 characters, not 1 to 150"},
		`{"blocks":[` + strings.Repeat(`{"type":"divider"},`, 50) + section(1) + `]}`: {"blocks are 51, more than 50"},
		`{"text":"` + strings.Repeat("x", 40_001) + `"}`:                              {"text has more than 40000 characters"},
	} {
		assert.Equal(t, want, slacktest.Faults([]byte(message)), "%.100s", message)
	}
}

// Whatever comes, the server answers and does not panic.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{"", "null", `{"text":"<!channel"}`, `{"blocks":[{"type":"section","fields":[null]}]}`, `{"channel":"C1","blocks":[{"type":"header","text":[]}]}`, `{"text":"<|>"}`} {
		f.Add(s)
	}
	s, err := slacktest.New()
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(s.Close)
	f.Fuzz(func(t *testing.T, message string) {
		slacktest.Faults([]byte(message))
		for _, url := range []string{s.Hook(), s.API() + "/chat.postMessage"} {
			if _, err := try(t.Context(), url, message); err != nil {
				t.Fatal(err)
			}
		}
	})
}
