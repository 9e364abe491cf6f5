package snsconfig

import (
	"errors"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/sns"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/template"
)

// newTopic makes the channel of a document's settings.
func newTopic(s config.Settings, e config.Environment, shared *sns.Credentials) (channel.Channel, error) {
	body, oneLine := template.Options{Mode: template.JSON}, template.Options{Mode: template.Header}
	if s.Text("format") == formatText {
		body.Mode = template.Text
	}
	c := sns.Config{TopicARN: s.Text("topic_arn"), Endpoint: s.Text("endpoint"), Guard: e.Guard, Limits: e.Limits, Logger: e.Logger}
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
