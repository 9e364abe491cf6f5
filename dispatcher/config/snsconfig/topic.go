// Package snsconfig lets the documents of package config have topics of Amazon SNS:
//
//	types := config.NewRegistry(map[string]config.Type{"sns": snsconfig.Type()}) // once, for all documents
//	set, err := config.Load("routes.yaml", src, config.Options{Types: types})
//
// reads
//
//	channels:
//	  - type: sns
//	    name: siem
//	    topic_arn: arn:aws:sns:eu-west-1:123456789012:access-events
//	    access_key_id: env:SIEM_KEY_ID
//	    secret_access_key: env:SIEM_KEY
//
// It is a module of its own, because the AWS SDK should be in nobody's go.mod who has no topics.
package snsconfig

import (
	"errors"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/sns"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/template"
)

// Type is a type of channel whose documents have to hold an access key. It suits documents that tenants write.
func Type() config.Type { return typeOf(nil) }

// TypeWith is a type of channel that signs with c where a document has no access key; the zero Credentials are the
// SDK's default chain. Whoever writes such a document publishes to any topic that c may publish to, so it is for the
// operator's own documents.
func TypeWith(c sns.Credentials) config.Type { return typeOf(&c) }

func typeOf(shared *sns.Credentials) config.Type {
	return config.Type{
		Doc: "A topic of Amazon SNS, standard or FIFO.",
		Fields: []config.Field{
			{Name: "topic_arn", Required: true, Destination: true, Doc: "ARN of the topic, such as arn:aws:sns:eu-west-1:123456789012:access-events. Its region is called."},
			{Name: "access_key_id", Kind: config.Secret, Required: shared == nil, Doc: "Id of the access key that signs."},
			{Name: "secret_access_key", Kind: config.Secret, Required: shared == nil, Doc: "The access key that signs."},
			{Name: "template", Doc: "A Handlebars template that makes the message, in place of the event's JSON."},
			{Name: "format", Values: []string{formatJSON, formatText}, Doc: "What the template makes. Default: json."},
			{Name: "subject", Doc: "A Handlebars template that makes the subject of mails to subscribers."},
			{Name: "group", Doc: "A Handlebars template that makes the message group, within which a FIFO topic keeps the order. Default: tenant and subject of the event."},
			{Name: "attributes", Kind: config.Object, List: true, Doc: "Up to 4 attributes of every message, besides those that all have, for filter policies.", Fields: []config.Field{
				{Name: "name", Required: true, Doc: "The attribute's name."},
				{Name: "template", Doc: "A Handlebars template that makes its value. Default: the event's own attribute of that name."},
			}},
			{Name: "endpoint", Destination: true, Doc: "Origin that is called in place of the region's, such as that of a VPC endpoint."},
			{Name: "limits", Doc: "Name of the policy that says what endpoint may be."},
			{Name: "proxy", Destination: true, Doc: "Name of the proxy to send through, one of the host's. Default: none."},
		},
		Paths: map[string]string{
			"Credentials": "access_key_id", "Credentials.SecretAccessKey": "secret_access_key",
			"Body": "template",
		},
		Make: func(s config.Settings, e config.Environment) (channel.Channel, error) { return newTopic(s, e, shared) },
	}
}

const (
	formatJSON = "json"
	formatText = "text"
)

// newTopic makes the channel of a document's settings.
func newTopic(s config.Settings, e config.Environment, shared *sns.Credentials) (channel.Channel, error) {
	body, oneLine := template.Options{Mode: template.JSON}, template.Options{Mode: template.Header}
	if s.Text("format") == formatText {
		body.Mode = template.Text
	}
	c := sns.Config{TopicARN: s.Text("topic_arn"), Endpoint: s.Text("endpoint"), Guard: e.Guard, Limits: e.Limits, Proxy: e.Proxy, Logger: e.Logger}
	var errs [5]error
	c.Credentials, errs[0] = credentialsOf(s, shared)
	c.Body, errs[1] = s.Template("template", body)
	c.Subject, errs[2] = s.Template("subject", oneLine)
	c.Group, errs[3] = s.Template("group", oneLine)
	c.Attributes, errs[4] = attributesOf(s.Objects("attributes"))
	made, err := sns.New(c) // whatever else is wrong, to find all mistakes
	if err := errors.Join(errors.Join(errs[:]...), err); err != nil {
		if made != nil {
			_ = made.Close() // it never sent anything
		}
		return nil, err
	}
	return made, nil
}

// credentialsOf gives the document's access key, or without one those that are shared.
func credentialsOf(s config.Settings, shared *sns.Credentials) (sns.Credentials, error) {
	const id, key = "access_key_id", "secret_access_key"
	switch hasID, hasKey := s.Has(id), s.Has(key); {
	case hasID && hasKey:
		return sns.Static(s.Secret(id), s.Secret(key), secret.Value{}), nil
	case hasID:
		return sns.Credentials{}, s.Mistake(key, channel.CodeMissing, "is missing beside "+id, "give both, or neither")
	case hasKey:
		return sns.Credentials{}, s.Mistake(id, channel.CodeMissing, "is missing beside "+key, "give both, or neither")
	}
	return *shared, nil
}

func attributesOf(objects []config.Settings) ([]sns.Attribute, error) {
	var all []sns.Attribute
	var errs []error
	for _, o := range objects {
		value, err := o.Template("template", template.Options{Mode: template.Header})
		all, errs = append(all, sns.Attribute{Name: o.Text("name"), Value: value}), append(errs, err)
	}
	return all, errors.Join(errs...)
}
