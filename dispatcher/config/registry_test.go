package config_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/template"
)

// topic is what a host writes to have a type of channel of its own in documents, here in the shape of a topic of SNS.
type topic struct {
	channel.Func

	arn, key string
	env      config.Environment
	made     []string
}

func topicType(made *[]*topic) config.Type {
	return config.Type{
		Doc: "A topic.",
		Fields: []config.Field{
			{Name: "topic_arn", Required: true, Destination: true, Doc: "The topic."},
			{Name: "access_key", Kind: config.Secret, Doc: "A key."},
			{Name: "attributes", Kind: config.Object, List: true, Doc: "More attributes.", Fields: []config.Field{
				{Name: "name", Required: true, Doc: "Name of the attribute."},
				{Name: "template", Doc: "Makes the value."},
			}},
			{Name: "batch", Kind: config.Number, Min: 1, Max: 10, Doc: "Messages at a time."},
			{Name: "fifo", Kind: config.Flag, Doc: "Whether order counts."},
			{Name: "wait", Kind: config.Duration, Word: "never", Doc: "How long to wait."},
		},
		Make: func(s config.Settings, e config.Environment) (channel.Channel, error) {
			c := &topic{arn: s.Text("topic_arn"), env: e}
			if !strings.HasPrefix(c.arn, "arn:") {
				return nil, s.Mistake("topic_arn", channel.CodeInvalid, "is not an ARN", "copy it from the console")
			}
			if s.Has("access_key") {
				c.key, _ = s.Secret("access_key").Reveal(context.Background())
			}
			for _, a := range s.Objects("attributes") {
				t, err := a.Template("template", template.Options{Mode: template.Header})
				if err != nil {
					return nil, err
				}
				c.made = append(c.made, a.Text("name"))
				_ = t
			}
			c.Func = func(context.Context, channel.Delivery) (channel.Receipt, error) { return channel.Receipt{}, nil }
			*made = append(*made, c)
			return c, nil
		},
	}
}

const topicDocument = `
channels:
  - type: sns
    name: topic
    network: aws
    topic_arn: arn:aws:sns:eu-west-1:123456789012:access-events
    access_key: not-a-real-key
    attributes:
      - {name: severity, template: "{{data.priority}}"}
    batch: 10
    fifo: true
    wait: never
routes:
  - name: topic
    channel: topic
`

// Types of channels are a value of the host's: they are read, written, kept and described like the built-in ones.
func TestThirdPartyTypesRegister(t *testing.T) {
	t.Parallel()
	var made []*topic
	guard := new(netguard.Guard)
	o := config.Options{Types: config.NewRegistry(map[string]config.Type{"sns": topicType(&made)}), Networks: map[string]*netguard.Guard{"aws": guard}}
	set := load(t, "a.yaml", topicDocument, o)
	require.Len(t, made, 1)
	assert.Same(t, made[0], set.Routes[0].Channel)
	assert.Equal(t, "not-a-real-key", made[0].key)
	assert.Same(t, guard, made[0].env.Guard)
	assert.NotNil(t, made[0].env.Logger)
	assert.Equal(t, []string{"severity"}, made[0].made)

	shown := string(set.Document.YAML())
	assert.NotContains(t, shown, "not-a-real-key")
	assert.Contains(t, shown, "wait: never")
	o.Stored = set.Document
	load(t, "b.yaml", shown, o)
	require.Len(t, made, 2)
	assert.Equal(t, "not-a-real-key", made[1].key)
	_, err := config.Load("c.yaml", []byte(strings.Replace(shown, "123456789012", "210987654321", 1)), o)
	require.ErrorContains(t, err, "channels[0].access_key cannot keep its stored value, because the destination has changed")

	var schema map[string]any
	require.NoError(t, json.Unmarshal(config.Schema(o.Types), &schema))
	assert.Contains(t, string(config.Schema(o.Types)), `"const": "sns"`)
	assert.NotContains(t, string(config.Schema(nil)), `"const": "sns"`)
	_, err = config.Load("d.yaml", []byte(topicDocument), config.Options{Networks: o.Networks})
	require.ErrorContains(t, err, "channels[0].type is not one of the values it may have; use one of email, slack, webhook")
}

// Errors of a type are put where its fields are.
func TestErrorsOfThirdPartyTypesHavePlaces(t *testing.T) {
	t.Parallel()
	for change, want := range map[[2]string]string{
		{"arn:aws", "aws"}:                      "a.yaml:6:16: channels[0].topic_arn is not an ARN; copy it from the console",
		{"batch: 10", "batch: 11"}:              "a.yaml:10:12: channels[0].batch is out of range; use 1 to 10",
		{"topic_arn: ", "topic_arm: "}:          "did you mean topic_arn?",
		{"{name: severity,", "{nam: severity,"}: "channels[0].attributes[0].name is missing; add it: name of the attribute",
	} {
		_, err := config.Load("a.yaml", []byte(strings.Replace(topicDocument, change[0], change[1], 1)), config.Options{
			Types: config.NewRegistry(map[string]config.Type{"sns": topicType(new([]*topic))}), Networks: map[string]*netguard.Guard{"aws": new(netguard.Guard)},
		})
		require.ErrorContains(t, err, want)
	}
}

// A type that makes nothing is an error, not a panic: here or when the engine starts.
func TestTypesThatMakeNothing(t *testing.T) {
	t.Parallel()
	for _, typ := range []config.Type{
		{},
		{Make: func(config.Settings, config.Environment) (channel.Channel, error) { return nil, nil }}, //nolint:nilnil // the mistake
	} {
		_, err := config.Load("a.yaml", []byte("channels: [{type: odd, name: a}]"), config.Options{Types: config.NewRegistry(map[string]config.Type{"odd": typ})})
		require.EqualError(t, err, "a.yaml:1:19: channels[0].type makes no channel; have the host's Type.Make return one")
	}
}

// Addresses of a list have nothing to be recognised by, so that they have to be given again.
func TestListsOfAddressesAreNotKept(t *testing.T) {
	t.Parallel()
	o := config.Options{Types: config.NewRegistry(map[string]config.Type{"many": {
		Fields: []config.Field{{Name: "urls", Kind: config.Address, List: true, Destination: true, Doc: "The receivers."}},
		Make: func(config.Settings, config.Environment) (channel.Channel, error) {
			return channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) { return channel.Receipt{}, nil }), nil
		},
	}})}
	set := load(t, "a.yaml", "channels: [{type: many, name: a, urls: ['https://a.example.com/not-a-real-secret', 'https://b.example.com/']}]", o)
	shown := set.Document.JSON()
	assert.NotContains(t, string(shown), "not-a-real-secret")
	o.Stored = set.Document
	_, err := config.Load("b.json", shown, o)
	require.ErrorContains(t, err, "channels[0].urls[0] cannot be kept, because items of this list have no names; give the value again")
}

// A type's mistakes are reported where the document has them: those of its own, and those of the Go Config that it
// makes, by Type.Paths or by the field's own name; what documents have no field for is about the nearest field around
// it.
func TestMistakesOfAGoConfigAreWhereTheDocumentHasThem(t *testing.T) {
	t.Parallel()
	relayError := func(path string) error {
		return &channel.ConfigError{Package: "relay", Path: path, Code: channel.CodeRange, Problem: "is wrong", Remedy: "correct it"}
	}
	relay := config.Type{
		Fields: []config.Field{
			{Name: "relay_host", Doc: "The host."},
			{Name: "max_size", Kind: config.Number, Doc: "A size."},
			{Name: "rules", Kind: config.Object, List: true, Doc: "Rules.", Fields: []config.Field{{Name: "from_name", Doc: "A name."}}},
		},
		Paths: map[string]string{"Relay": "relay_host", "Filter.Rules": "rules"},
		Make: func(s config.Settings, _ config.Environment) (channel.Channel, error) {
			return nil, errors.Join(
				s.Mistake("rules[0].from_name", channel.CodeConflict, "is not allowed", "remove it"),
				relayError("Relay.Host"), relayError("MaxSize"), relayError("Filter.Rules[1].FromName"), relayError("Filter.Rules[0].FromName"),
			)
		},
	}
	_, err := config.Load("a.yaml", []byte(`channels:
  - type: relay
    name: a
    relay_host: x
    rules:
      - from_name: b
      - {}
`), config.Options{Types: config.NewRegistry(map[string]config.Type{"relay": relay})})
	assert.EqualError(t, err, `a.yaml:2:5: channels[0].max_size is wrong; correct it
a.yaml:4:17: channels[0].relay_host is wrong; correct it
a.yaml:6:20: channels[0].rules[0].from_name is not allowed; remove it
a.yaml:7:9: channels[0].rules[1].from_name is wrong; correct it`)
	found := listed(err)
	require.Len(t, found, 4)
	assert.Equal(t, channel.CodeConflict, found[2].Code)
	assert.Equal(t, channel.CodeRange, found[3].Code)

	relay.Make = func(config.Settings, config.Environment) (channel.Channel, error) {
		return nil, relayError("Dialer.Timeout")
	}
	_, err = config.Load("a.yaml", []byte("channels: [{type: relay, name: a}]"), config.Options{Types: config.NewRegistry(map[string]config.Type{"relay": relay})})
	assert.EqualError(t, err, "a.yaml:1:12: channels[0] is wrong; correct it")
}
