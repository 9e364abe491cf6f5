package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
)

// shownDocument is a document as it is shown, each part in its text.
type shownDocument struct {
	Channels []json.RawMessage `json:"channels"`
	Routes   []json.RawMessage `json:"routes"`
}

func (d *shownDocument) list(name string) *[]json.RawMessage {
	if name == "channels" {
		return &d.Channels
	}
	return &d.Routes
}

// with replaces, adds (at = -1) or removes (part = nil) a part.
func (d *shownDocument) with(list string, at int, part []byte) {
	all := d.list(list)
	switch {
	case at < 0:
		*all = append(*all, part)
	case part == nil:
		*all = slices.Delete(*all, at, at+1)
	default:
		(*all)[at] = part
	}
}

// indexOf finds a part by its name; -1 = there is none.
func indexOf(parts []json.RawMessage, name string) int {
	return slices.IndexFunc(parts, func(part json.RawMessage) bool {
		var named struct{ Name string }
		return json.Unmarshal(part, &named) == nil && named.Name == name
	})
}

// editor makes edits of bytes, one after the other.
type editor struct {
	bytes []byte
	given int // secrets so far
}

func (e *editor) pick(n int) int {
	if len(e.bytes) == 0 {
		return 0
	}
	b := e.bytes[0]
	e.bytes = e.bytes[1:]
	return int(b) % n
}

func pickOf[T any](e *editor, all ...T) T { return all[e.pick(len(all))] }

func (e *editor) name() string { return pickOf(e, "a", "b", "c", "") }

// secret is one that is kept, or a new one, whose text says where it may go.
func (e *editor) secret(destination string) string {
	if e.pick(2) == 0 {
		return secret.Redacted
	}
	e.given++
	return fmt.Sprintf("not-a-real-%d for %s", e.given, destination)
}

func (e *editor) channel(name string) []byte {
	fields := map[string]any{}
	if e.pick(4) > 0 {
		fields["name"] = name
	}
	switch fields["type"] = pickOf(e, "webhook", "webhook", "slack", "email"); fields["type"] {
	case "webhook":
		url := pickOf(e, "https://a.example.com/", "https://b.example.com/x", "https://a.example.com/{key}", "https://a.example.com/{key}/y", "https://a.example.com/[redacted]", "http://a.example.com/")
		fields["url"] = url
		if strings.Contains(url, "{key}") {
			fields["masks"] = []any{map[string]any{"replacement": "{key}", "value": strings.ReplaceAll(e.secret(url), " ", "-")}}
		}
		if e.pick(2) == 0 {
			fields["auth"] = map[string]any{"kind": "bearer", "token": e.secret(url)}
		}
		if e.pick(2) == 0 {
			fields["headers"] = []any{map[string]any{"name": pickOf(e, "X-One", "x-one", "X-Two"), "secret": e.secret(url)}}
		}
	case "slack":
		host := pickOf(e, "https://hooks.slack.com/", "https://slack.example.com/")
		fields["url"] = host + pickOf(e, "[redacted]", "services/not-a-real-path-for-"+strings.TrimPrefix(host, "https://"))
	default:
		relay := pickOf(e, "relay.example.com", "other.example.com")
		fields["smtp_host"], fields["smtp_user"], fields["smtp_password"] = relay, "u", e.secret(relay)
		fields["from_address"], fields["to_addresses"] = "a@example.com", []string{"b@example.com"}
	}
	b, _ := json.Marshal(fields)
	return b
}

func (e *editor) route(name string) []byte {
	fields := map[string]any{"channel": e.name()}
	if e.pick(4) > 0 {
		fields["name"] = name
	}
	if e.pick(2) == 0 {
		fields["fallback"] = e.name()
	}
	if e.pick(2) == 0 {
		fields["alerts"] = map[string]any{"to": []string{e.name()}}
	}
	if e.pick(2) == 0 {
		fields["tenant"] = pickOf(e, "acme", "globex", "initech")
	}
	fields["events"] = []string{pickOf(e, "request.*", "grant.revoked", "nothing")}
	fields["concurrency"] = e.pick(3)
	b, _ := json.Marshal(fields)
	return b
}

// edit makes one edit of d, and of the text of d. The text is nil if the edit is none that a text shows.
func (e *editor) edit(t *testing.T, d *config.Document, o config.Options) (*config.Document, []byte, error) {
	var text shownDocument
	require.NoError(t, json.Unmarshal(d.JSON(), &text))
	name := e.name()
	set := func(list string, part []byte, set func(string, []byte, config.Options) (*config.Document, error)) (*config.Document, []byte, error) {
		next, err := set(name, part, o)
		named := append([]byte(nil), part...)
		if !bytes.Contains(part, []byte(`"name":"`+name+`"`)) || name == "" {
			named = append([]byte(`{"name":"`+name+`",`), part[1:]...)
		}
		text.with(list, indexOf(*text.list(list), name), named)
		written, marshalErr := json.Marshal(text)
		require.NoError(t, marshalErr)
		return next, written, err
	}
	remove := func(list string, remove func(string) (*config.Document, error)) (*config.Document, []byte, error) {
		next, err := remove(name)
		at := indexOf(*text.list(list), name)
		if at < 0 {
			assert.Error(t, err)
			return next, nil, err
		}
		text.with(list, at, nil)
		written, marshalErr := json.Marshal(text)
		require.NoError(t, marshalErr)
		return next, written, err
	}
	switch e.pick(7) {
	case 0, 1:
		return set("channels", e.channel(name), d.SetChannel)
	case 2:
		return set("routes", e.route(name), d.SetRoute)
	case 3:
		return remove("channels", d.RemoveChannel)
	case 4:
		return remove("routes", d.RemoveRoute)
	case 5:
		next, err := pickOf(e, d.RenameChannel, d.RenameRoute)(name, e.name())
		return next, nil, err
	default:
		next, err := d.SetState(name, pickOf(e, dispatcher.Enabled, dispatcher.Disabled, dispatcher.Paused))
		return next, nil, err
	}
}

// strays lists the secrets of a document that are in another channel than the one they were given for.
func strays(t *testing.T, d *config.Document) []string {
	var all []string
	var text struct {
		Channels []struct {
			URL, SMTPHost, SMTPPassword string
			Masks                       []struct{ Value string }
			Headers                     []struct{ Secret string }
			Auth                        struct{ Token string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(strings.NewReplacer(`"smtp_host"`, `"SMTPHost"`, `"smtp_password"`, `"SMTPPassword"`).Replace(reveal(t, d))), &text))
	for _, c := range text.Channels {
		found := []string{c.Auth.Token, c.SMTPPassword}
		for _, h := range c.Headers {
			found = append(found, h.Secret)
		}
		for _, m := range c.Masks {
			found = append(found, strings.ReplaceAll(m.Value, "-for-", " for "))
		}
		for _, text := range found {
			_, destination, isOne := strings.Cut(text, " for ")
			if host, isKept := strings.CutSuffix(destination, secret.Redacted); isKept && strings.HasPrefix(c.URL, host) {
				continue // it was given for the URL that is kept
			}
			if isOne && destination != c.URL && destination != c.SMTPHost {
				all = append(all, text+" in "+c.URL+c.SMTPHost)
			}
		}
		if host, path, ok := strings.Cut(strings.TrimPrefix(c.URL, "https://"), "/services/not-a-real-path-for-"); ok && path != host+"/" {
			all = append(all, c.URL)
		}
	}
	return all
}

// FuzzEdit makes edits one after the other. Each gives what loading the edited text gives, or is refused as that is; no
// secret is shown, and none moves to another destination.
func FuzzEdit(f *testing.F) {
	for seed := range 50 {
		random := rand.New(rand.NewPCG(uint64(seed), 0))
		src := make([]byte, 400)
		for i := range src {
			src[i] = byte(random.Uint32())
		}
		f.Add(src)
	}
	o := config.Options{Tenant: "acme", Tenants: []string{"globex"}}
	f.Fuzz(func(t *testing.T, src []byte) {
		e := &editor{bytes: src[:min(len(src), 400)]}
		d := new(config.Document)
		for len(e.bytes) > 0 {
			before := reveal(t, d)
			next, written, err := e.edit(t, d, o)
			require.Equal(t, before, reveal(t, d), "a document does not change")
			if written != nil {
				loading := o
				loading.Stored = d
				set, loadErr := config.Load("a.json", written, loading)
				require.Equal(t, loadErr == nil, err == nil, "%s\nedit: %v\nload: %v", written, err, loadErr)
				if err == nil {
					require.Equal(t, reveal(t, set.Document), reveal(t, next), "%s", written)
					require.NoError(t, set.Close())
				}
			}
			if err != nil {
				require.Nil(t, next)
				for _, each := range listed(err) {
					require.NotNil(t, each, "%v", err)
					require.NotContains(t, each.Error(), "not-a-real")
				}
				continue
			}
			d = next
			require.Empty(t, strays(t, d))
			require.NotContains(t, string(d.JSON()), "not-a-real")
			set, err := d.Load(o)
			require.NoError(t, err)
			again := load(t, "a.json", reveal(t, d), o)
			require.Equal(t, outline(again), outline(set))
			require.Equal(t, again.Alerts, set.Alerts)
			require.NoError(t, set.Close())
		}
	})
}
