package config_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/tocsin-go/tocsin/dispatcher/config"
)

const stored = `
channels:
  - type: webhook
    name: hook
    url: https://hooks.example.com/a/{key}
    masks:
      - {replacement: "{key}", value: not-a-real-key}
    headers:
      - {name: X-Sensitive, secret: not-a-real-header}
      - {name: X-Plain, value: plain}
    auth: {kind: bearer, token: not-a-real-token}
    sign: {scheme: github, secret: not-a-real-signing-secret-0123456789}
  - type: slack
    name: chat
    url: https://hooks.slack.com/services/T0/B0/not-a-real-hook
  - type: email
    name: mail
    smtp_host: smtp.example.com
    smtp_user: tocsin
    smtp_password: not-a-real-password
    from_address: a@example.com
    to_addresses: [b@example.com]
  - type: slack
    name: bot
    token: not-a-real-bot
    channel: C024BE91L
`

// edit loads the stored document, changes what is shown of it, and loads that in its place.
func edit(t *testing.T, pairs ...string) (*config.Set, string, error) {
	t.Helper()
	before := load(t, "stored.yaml", stored, config.Options{})
	shown := string(before.Document.YAML())
	for i := 0; i < len(pairs); i += 2 {
		require.Contains(t, shown, pairs[i])
	}
	changed := strings.NewReplacer(pairs...).Replace(shown)
	set, err := config.Load("edited.yaml", []byte(changed), config.Options{Stored: before.Document})
	byParts, problems := editParts(t, before.Document, changed)
	if err == nil {
		t.Cleanup(func() { require.NoError(t, set.Close()) })
		require.Empty(t, problems)
		require.Equal(t, reveal(t, set.Document), reveal(t, byParts))
	} else {
		var want []string
		for _, e := range listed(err) {
			want = append(want, fmt.Sprintf("%s %s; %s", e.Path, e.Problem, e.Remedy))
		}
		require.ElementsMatch(t, want, problems)
	}
	return set, reveal(t, before.Document), err
}

// editParts makes the changes of a document channel by channel, and lists what is wrong as loading it whole does.
func editParts(t *testing.T, d *config.Document, changed string) (*config.Document, []string) {
	t.Helper()
	var next struct{ Channels []map[string]any }
	require.NoError(t, yaml.Unmarshal([]byte(changed), &next))
	before, problems := d, []string(nil)
	for i, c := range next.Channels {
		fragment, err := json.Marshal(c)
		require.NoError(t, err)
		name := c["name"].(string)
		edited, err := d.SetChannel(name, fragment, config.Options{})
		if err == nil {
			d = edited
			continue
		}
		for _, e := range listed(err) {
			problems = append(problems, fmt.Sprintf("channels[%d].%s %s; %s", i, e.Path, e.Problem, e.Remedy))
		}
	}
	for _, c := range before.Channels() {
		if !slices.ContainsFunc(next.Channels, func(kept map[string]any) bool { return kept["name"] == c.Name }) {
			var err error
			d, err = d.RemoveChannel(c.Name)
			require.NoError(t, err)
		}
	}
	return d, problems
}

// What was shown and sent back keeps the stored secrets, also when something else was changed.
func TestStoredSecretsAreKept(t *testing.T) {
	t.Parallel()
	for name, pairs := range map[string][]string{
		"nothing changed":            nil,
		"the default port named":     {"https://hooks.example.com", "https://hooks.example.com:443"},
		"hidden URL, default port":   {"https://hooks.slack.com/[redacted]", "https://hooks.slack.com:443/services/T0/B0/not-a-real-hook"},
		"header of another case":     {"X-Sensitive", "x-sensitive"},
		"host in another case":       {"https://hooks.example.com", "https://HOOKS.example.com"},
		"another method":             {"masks:", "method: PUT\n  masks:"},
		"user of the relay":          {"smtp_user: tocsin", "smtp_user: other"},
		"a header gone":              {"- name: X-Plain\n    value: plain", ""},
		"one secret given, one kept": {"bearer\n    token: '[redacted]'", "bearer\n    token: another-token"},
	} {
		set, before, err := edit(t, pairs...)
		require.NoError(t, err, name)
		after := reveal(t, set.Document)
		for _, secret := range []string{"not-a-real-key", "not-a-real-header", "not-a-real-token", "not-a-real-signing", "not-a-real-hook", "not-a-real-password", "not-a-real-bot"} {
			if name == "one secret given, one kept" && secret == "not-a-real-token" {
				assert.Contains(t, after, "another-token")
				assert.NotContains(t, after, secret)
				continue
			}
			assert.Contains(t, after, secret, name)
		}
		if pairs == nil {
			assert.Equal(t, before, after)
		}
	}
}

// Whoever may edit but not read cannot have a stored secret sent elsewhere, or shown.
func TestStoredSecretsAreNotKeptForAnotherDestination(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		pairs []string
		want  []string // the places of errors
	}{
		"another host": {
			[]string{"https://hooks.example.com", "https://evil.example.com"},
			[]string{"channels[0].masks", "channels[0].headers[0].secret", "channels[0].auth.token", "channels[0].sign.secret"},
		},
		"another port": {
			[]string{"https://hooks.example.com", "https://hooks.example.com:8443"},
			[]string{"channels[0].masks", "channels[0].headers[0].secret", "channels[0].auth.token", "channels[0].sign.secret"},
		},
		"nobody verified": {
			[]string{"sign:", "verify_tls: false\n  sign:"},
			[]string{"channels[0].masks", "channels[0].headers[0].secret", "channels[0].auth.token", "channels[0].sign.secret"},
		},
		"another network": {
			[]string{"sign:", "network: lab\n  sign:"},
			[]string{"channels[0].network", "channels[0].masks", "channels[0].headers[0].secret", "channels[0].auth.token", "channels[0].sign.secret"},
		},
		"hidden URL on another host":     {[]string{"https://hooks.slack.com", "https://evil.example.com"}, []string{"channels[1].url"}},
		"hidden URL with more behind it": {[]string{".slack.com/[redacted]", ".slack.com/[redacted]/x"}, []string{"channels[1].url"}},
		"hidden URL shown by masks":      {[]string{"slack.com/[redacted]", "slack.com/[redacted]\n  masks: [{replacement: services, value: services}]"}, []string{"channels[1].url", "channels[1].masks[0].replacement"}},
		"hidden URL as a replacement":    {[]string{"slack.com/[redacted]", "slack.com/[redacted]\n  masks: [{replacement: '[redacted]', value: x}]"}, []string{"channels[1].url"}},
		"another relay":                  {[]string{"smtp.example.com", "smtp.evil.example.com"}, []string{"channels[2].smtp_password"}},
		"another port of the relay":      {[]string{"smtp_user", "smtp_port: 2525\n  smtp_user"}, []string{"channels[2].smtp_password"}},
		"a relay without encryption":     {[]string{"smtp_user", "smtp_tls: none\n  smtp_user"}, []string{"channels[2].smtp_password"}},
		"another channel":                {[]string{"name: mail", "name: mail 2"}, []string{"channels[2].smtp_password"}},
		"another header":                 {[]string{"X-Sensitive", "X-Other"}, []string{"channels[0].headers[0].secret"}},
		"another replacement": {
			[]string{"{key}", "{other}"},
			[]string{"channels[0].masks", "channels[0].headers[0].secret", "channels[0].auth.token", "channels[0].sign.secret"},
		},
		"another path on the same host": {
			[]string{"example.com/a/{key}", "example.com/b/{key}"},
			[]string{"channels[0].masks", "channels[0].headers[0].secret", "channels[0].auth.token", "channels[0].sign.secret"},
		},
		"a slash behind the path": {
			[]string{"example.com/a/{key}", "example.com/a/{key}/"},
			[]string{"channels[0].masks", "channels[0].headers[0].secret", "channels[0].auth.token", "channels[0].sign.secret"},
		},
		"a query": {
			[]string{"example.com/a/{key}", "example.com/a/{key}?x=1"},
			[]string{"channels[0].masks", "channels[0].headers[0].secret", "channels[0].auth.token", "channels[0].sign.secret"},
		},
		"another value of a mask": {
			[]string{"value: '[redacted]'", "value: another-key"},
			[]string{"channels[0].headers[0].secret", "channels[0].auth.token", "channels[0].sign.secret"},
		},
		"the same value of a mask, which would tell that it is": {
			[]string{"value: '[redacted]'", "value: not-a-real-key"},
			[]string{"channels[0].headers[0].secret", "channels[0].auth.token", "channels[0].sign.secret"},
		},
		"one more mask, which changes the path": {
			[]string{"value: '[redacted]'", "value: '[redacted]'\n  - replacement: a\n    value: b"},
			[]string{"channels[0].masks", "channels[0].headers[0].secret", "channels[0].auth.token", "channels[0].sign.secret"},
		},
		"no masks": {
			[]string{"  masks:\n  - replacement: '{key}'\n    value: '[redacted]'\n", ""},
			[]string{"channels[0].headers[0].secret", "channels[0].auth.token", "channels[0].sign.secret"},
		},
		"a path made by a template": {
			[]string{"masks:", "path: /b/{{id}}\n  masks:"},
			[]string{"channels[0].url", "channels[0].masks", "channels[0].headers[0].secret", "channels[0].auth.token", "channels[0].sign.secret"},
		},
		"another channel of Slack":          {[]string{"C024BE91L", "C024BE91M"}, []string{"channels[3].token"}},
		"another Slack":                     {[]string{"channel: C024BE91L", "channel: C024BE91L\n  api: https://evil.example.com/api"}, []string{"channels[3].token"}},
		"another kind of authentication":    {[]string{"kind: bearer\n    token:", "kind: token\n    value:"}, []string{"channels[0].auth.value"}},
		"a sensitive header made readable":  {[]string{"secret: '[redacted]'\n  - name: X-Plain", "value: '[redacted]'\n  - name: X-Plain"}, []string{"channels[0].headers[0]"}},
		"a secret kept as readable header":  {[]string{"value: plain", "secret: '[redacted]'"}, []string{"channels[0].headers[1].secret"}},
		"a preset that sends it elsewhere":  {[]string{"masks:", "preset: {product: teams}\n  masks:"}, []string{"channels[0].masks", "channels[0].headers[0].secret", "channels[0].auth.token", "channels[0].sign.secret"}},
		"another type under the same name":  {[]string{"type: slack\n  name: chat", "type: webhook\n  name: chat"}, []string{"channels[1].url"}},
		"the placeholder inside other text": {[]string{"hooks.slack.com/[redacted]", "hooks.slack.com/[redacted]?[redacted]"}, []string{"channels[1].url"}},
	} {
		_, _, err := edit(t, test.pairs...)
		require.Error(t, err, name)
		var places []string
		for _, e := range listed(err) {
			places = append(places, e.Path)
			assert.NotContains(t, e.Error(), "not-a-real", name)
		}
		assert.ElementsMatch(t, test.want, places, "%s: %v", name, err)
	}
}

// Two hosts that are equal by case folding are two hosts to DNS: neither gets what is stored for the other, in whatever
// form either is written. One host in two forms keeps it.
func TestDestinationsAreComparedAsTheyAreDialled(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, stored, next string
		kept               bool
	}{
		{"sharp s and its capital", "straße.example", "straẞe.example", false}, // equal by case folding; IDNA maps the capital to ss
		{"sharp s and double s", "straße.example", "strasse.example", false},
		{"capital sharp s and double s", "straẞe.example", "strasse.example", true},
		{"dotted capital I", "i.example.com", "İ.example.com", false},
		{"dotless i", "i.example.com", "ı.example.com", false},
		{"Kelvin sign", "k.example.com", "K.example.com", true}, // mapped to k
		{"its A-labels", "bücher.example", "xn--bcher-kva.example", true},
		{"full width", "hooks.example.com", "ｈｏｏｋｓ.example.com", true},
	} {
		for _, masks := range []string{"", "\n    masks: [{replacement: '{key}', value: %s}]"} {
			document := func(host, mask, token string) string {
				if masks != "" {
					mask = strings.ReplaceAll(masks, "%s", mask)
				}
				return "channels:\n  - type: webhook\n    name: hook\n    url: https://" + host + "/x/{key}" + mask + "\n    auth: {kind: bearer, token: '" + token + "'}\n"
			}
			first, second := document(test.stored, "not-a-real-key", "not-a-real-token"), document(test.next, "'[redacted]'", "[redacted]")
			if masks == "" {
				first, second = strings.ReplaceAll(first, "not-a-real-key", ""), strings.ReplaceAll(second, "'[redacted]'\n", "\n")
			}
			before := load(t, "stored.yaml", first, config.Options{})
			set, err := config.Load("edited.yaml", []byte(second), config.Options{Stored: before.Document})
			if test.kept {
				require.NoError(t, err, "%s%s", test.name, masks)
				assert.Contains(t, reveal(t, set.Document), "not-a-real-token")
				require.NoError(t, set.Close())
				continue
			}
			require.ErrorContains(t, err, "channels[0].auth.token cannot keep its stored value", "%s%s", test.name, masks)
		}
	}
}
