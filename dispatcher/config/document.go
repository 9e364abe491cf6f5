package config

import (
	"context"

	"go.yaml.in/yaml/v4"
)

// Document is a configuration as it was read, to be shown and kept. It is immutable and printed without its contents.
type Document struct{ root *value }

// version is that of the form of documents.
const version = 1

func documentFields(types Registry, caps Caps) *table {
	channels := Field{
		Name: "channels", Kind: Variants, List: true, MaxItems: caps.Channels, Tag: "type", Doc: "How events reach people and systems.",
		common: channelFields,
	}
	for _, name := range names(types) {
		channels.Variants = append(channels.Variants, Variant{Name: name, Doc: types[name].Doc, Fields: types[name].Fields})
	}
	channels.describedBy = channels.tag()
	return &table{own: []Field{
		{Name: "$schema", Doc: "Where editors find the schema. It means nothing here."},
		{Name: "version", Kind: Number, Min: version, Max: version, Doc: "Version of the form of this document. Default: 1."},
		channels,
		{Name: "routes", Kind: Object, List: true, MaxItems: caps.Routes, Doc: "Which events go to which channel, and how.", Fields: routeFields()},
	}}
}

//nolint:gochecknoglobals // read-only table
var channelFields = []Field{
	{Name: "name", Required: true, Max: 100, Doc: "Name of the channel: unique, at most 100 characters."},
	{Name: "network", Destination: true, Doc: "Name of the network policy that says which addresses may be called: public, or one of the host's. Default: public."},
}

// JSON writes the document as JSON. Secrets given as text, and what may be one in a URL, are shown as [redacted];
// references are shown as they are. [Load] reads what JSON wrote back when it is given the Document as Options.Stored.
func (d *Document) JSON() []byte { return indented(writer{}.object(d.root)) }

// YAML is JSON in the other format. Comments of the document that was read are not in it.
func (d *Document) YAML() []byte {
	b, err := yaml.Dump(yamlNode(writer{}.object(d.root)), yaml.WithLineWidth(-1))
	if err != nil {
		return d.JSON() // which is YAML as well
	}
	return b
}

// Reveal writes the document as JSON with all its secrets but those behind references. It is for the host's own store,
// which encrypts it; Load reads it without Options.Stored. Never show it.
func (d *Document) Reveal(ctx context.Context) ([]byte, error) {
	r := revealer{ctx: ctx}
	b := indented(writer{r.reveal}.object(d.root))
	if r.err != nil {
		return nil, r.err
	}
	return b, nil
}

// String tells nothing, because a Document may hold secrets.
func (d *Document) String() string { return "config.Document" }

// GoString is String.
func (d *Document) GoString() string { return d.String() }
