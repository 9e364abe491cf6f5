package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/sns"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// topicType lets documents have topics of SNS, which package config does not know because of the SDK. Without keys in the
// document it is the SDK's chain that signs: offer that to the operator's own documents only.
func topicType() config.Type {
	return config.Type{
		Doc: "A topic of Amazon SNS.",
		Fields: []config.Field{
			{Name: "topic_arn", Required: true, Destination: true, Doc: "ARN of the topic."},
			{Name: "access_key_id", Kind: config.Secret, Required: true, Doc: "Id of the access key."},
			{Name: "secret_access_key", Kind: config.Secret, Required: true, Doc: "The access key."},
			{Name: "subject", Doc: "A Handlebars template for the subject of mails to subscribers."},
			{Name: "endpoint", Destination: true, Doc: "Origin that is called in place of the region's."},
			{Name: "limits", Doc: "Name of the policy that says what endpoint may be."},
		},
		Make: func(s config.Settings, e config.Environment) (channel.Channel, error) {
			subject, err := s.Template("subject", template.Options{Mode: template.Header})
			if err != nil {
				return nil, err
			}
			made, err := sns.New(sns.Config{
				TopicARN:    s.Text("topic_arn"),
				Credentials: sns.Static(s.Secret("access_key_id"), s.Secret("secret_access_key"), secret.Value{}),
				Subject:     subject,
				Endpoint:    s.Text("endpoint"),
				Guard:       e.Guard,
				Limits:      e.Limits,
				Logger:      e.Logger,
			})
			if err != nil {
				return nil, inDocument(err)
			}
			return made, nil
		},
	}
}

// inDocument gives the problems joined in err the names of fields in documents.
func inDocument(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	fields := map[string]string{"TopicARN": "topic_arn", "Credentials": "access_key_id", "Endpoint": "endpoint"}
	var errs []error
	for _, one := range joined.Unwrap() {
		if c, ok := errors.AsType[*sns.ConfigError](one); ok {
			name, _, _ := strings.Cut(c.Field, ":")
			one = &config.Error{Path: cmp.Or(fields[name], name), Problem: c.Problem, Remedy: c.Remedy}
		}
		errs = append(errs, one)
	}
	return errors.Join(errs...)
}

func TestSNSRegistersAsATypeOfChannelInDocuments(t *testing.T) {
	t.Parallel()
	receiver := newTopic()
	t.Cleanup(receiver.Close)
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	require.NoError(t, err)
	options := config.Options{
		Types:    config.Registry{"sns": topicType()},
		Networks: map[string]*netguard.Guard{"here": guard},
		Limits:   map[string]netguard.Limits{"here": {AllowInsecureHTTP: true}},
	}
	document := fmt.Sprintf(`
channels:
  - type: sns
    name: siem
    network: here
    limits: here
    topic_arn: %s
    endpoint: %s
    access_key_id: %s
    secret_access_key: %s
    subject: "{{data.friendly_id}}"
routes:
  - {name: siem, channel: siem}
`, topicARN, receiver.URL, keyID, keySecret)
	set, err := config.Load("routes.yaml", []byte(document), options)
	require.NoError(t, err)
	options.Former = set.Document
	shown := string(set.Document.YAML())
	require.NotContains(t, shown, keySecret)
	again, err := config.Load("routes.yaml", []byte(shown), options) // with the keys that it does not show
	require.NoError(t, err)
	require.NoError(t, set.Close())

	e := event.Must(event.RequestPending{AccessRequest: event.AccessRequest{ID: "4f1c", FriendlyID: "AR-2047"}}, event.Meta{})
	_, err = again.Routes[0].Channel.Send(t.Context(), channel.Delivery{Event: e, Route: "siem", Attempt: 1})
	require.NoError(t, err, "the topic believes nobody without a signature")
	assert.Equal(t, "AR-2047", receiver.last().subject)
	require.NoError(t, again.Close())

	_, err = config.Load("routes.yaml", []byte(strings.Replace(document, "arn:aws", "aws", 1)), options)
	require.ErrorContains(t, err, "routes.yaml:7:16: channels[0].topic_arn ")
	assert.NotContains(t, err.Error(), keySecret)
}
