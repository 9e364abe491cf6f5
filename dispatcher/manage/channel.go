package manage

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
)

// Channel is a channel of a tenant and its routes, as they are shown: without secrets.
type Channel struct {
	Name string
	// ETag changes with what is shown, and with every change of a secret.
	ETag    string
	Channel json.RawMessage // as documents have it
	Routes  []json.RawMessage
	Broken  string // why it cannot be used, and its events wait; "" = it can
	// Applied says that this process has the stored revision in force.
	Applied  bool
	Revision Revision
}

// ChannelInput is a channel and its routes, in JSON, as documents have them. A route need not name its channel. nil
// Routes of a Replace leave the routes as they are, and of a Create are one for every lifecycle event.
type ChannelInput struct {
	Channel json.RawMessage
	Routes  []json.RawMessage
}

// By is who makes a change, for the record.
type By struct {
	Tenant string // whose channels these are
	Actor  string // a person or program, as the host names them
}

// Get returns a channel.
func (s *Service) Get(ctx context.Context, tenant, name string) (Channel, error) {
	if err := ctx.Err(); err != nil {
		return Channel{}, err
	}
	v := s.viewOf(tenant)
	c, ok := v.channel(name)
	if !ok {
		return Channel{}, noChannel(name)
	}
	return c, nil
}

func (v *view) channel(name string) (Channel, bool) {
	p := partsOf(v.document(), name)
	if p.channel == nil {
		return Channel{}, false
	}
	stored, _ := v.revisions()
	return Channel{
		Name: name, ETag: v.etag(name), Channel: p.channel, Routes: p.routes, Broken: v.broken(name, p.names),
		Applied: v.applied == v.revision, Revision: stored,
	}, true
}

// broken says what of a channel and its routes cannot be made.
func (v *view) broken(name string, routes []string) string {
	if v.set == nil {
		return ""
	}
	var all []string
	for _, b := range v.set.Broken {
		if b.Channel == name || b.Route != "" && slices.Contains(routes, b.Route) {
			all = append(all, b.Err.Error())
		}
	}
	return strings.Join(all, "\n")
}

// Create adds a channel with its routes, whose name is in it. Repeated with the same content it changes nothing, and
// created is false. A channel or route of that name with another content is a CodeExists.
func (s *Service) Create(ctx context.Context, by By, in ChannelInput) (c Channel, created bool, err error) {
	name, wrong := s.nameOf(in)
	if wrong != nil {
		return Channel{}, false, wrong
	}
	if in.Routes == nil {
		in.Routes = []json.RawMessage{fmt.Appendf(nil, `{"name": %s}`, quote(name))}
	}
	v, changed, err := s.edit(ctx, edit{
		tenant: by.Tenant, actor: by.Actor, typ: event.TypeChannelCreated, channel: name, posted: in.tree(), created: in.sign(nil),
		change: func(v *view, o config.Options) (*config.Document, error) {
			d := v.document()
			if d.Channel(name) != nil {
				known := v.content.Channels[name].Created
				if len(known) > 0 && hmac.Equal(in.sign(known), known) {
					return d, nil
				}
				return nil, &Error{Code: CodeExists, Detail: fmt.Sprintf("there is a channel %q already", clip(name)), Remedy: "choose another name, or change that one"}
			}
			for i, r := range in.Routes {
				if other := textOf(r, "name"); d.Route(other) != nil {
					return nil, &Error{Code: CodeExists, Detail: fmt.Sprintf("there is a route %q already", clip(other)), Remedy: "choose another name",
						Fields: []FieldError{{Pointer: fmt.Sprintf("/routes/%d/name", i), Code: channel.CodeDuplicate, Detail: "is there already", Remedy: "choose another name"}}}
				}
			}
			return in.put(d, name, o)
		},
	})
	if err != nil {
		return Channel{}, false, err
	}
	c, _ = v.channel(name)
	return c, changed, nil
}

// Replace changes a channel and its routes. Where in has [redacted], stored secrets are kept, as config.Load does.
// etag is the one that the channel must have; "" = any. With Routes, routes of the channel that are not among them are
// removed, with what waits for them.
func (s *Service) Replace(ctx context.Context, by By, name, etag string, in ChannelInput) (Channel, error) {
	if err := s.limit(in); err != nil {
		return Channel{}, err
	}
	return s.changeChannel(ctx, by, edit{typ: event.TypeChannelUpdated, channel: name, etag: etag, posted: in.tree(),
		change: func(v *view, o config.Options) (*config.Document, error) {
			d := v.document()
			if d.Channel(name) == nil {
				return nil, noChannel(name)
			}
			return in.put(d, name, o)
		}})
}

// changeChannel makes an edit of one channel, and returns it as it is then.
func (s *Service) changeChannel(ctx context.Context, by By, e edit) (Channel, error) {
	e.tenant, e.actor = by.Tenant, by.Actor
	v, _, err := s.edit(ctx, e)
	if err != nil {
		return Channel{}, err
	}
	name := e.channel
	if e.renamed != "" {
		name = e.renamed
	}
	c, _ := v.channel(name)
	return c, nil
}

// Delete removes a channel and its routes, and what waits for them. etag is as in Replace. A route that another
// channel's fallback or alerts name is a CodeState.
func (s *Service) Delete(ctx context.Context, by By, name, etag string) error {
	_, _, err := s.edit(ctx, edit{tenant: by.Tenant, actor: by.Actor, typ: event.TypeChannelDeleted, channel: name, etag: etag,
		change: func(v *view, _ config.Options) (*config.Document, error) {
			d := v.document()
			if d.Channel(name) == nil {
				return nil, noChannel(name)
			}
			d, err := removeRoutes(d, d.RoutesOf(name))
			if err != nil {
				return nil, stateError(err)
			}
			d, err = d.RemoveChannel(name)
			return d, stateError(err)
		}})
	return err
}

// removeRoutes removes routes, which may name each other.
func removeRoutes(d *config.Document, names []string) (*config.Document, error) {
	for len(names) > 0 {
		var left []string
		var errs []error
		for _, name := range names {
			next, err := d.RemoveRoute(name)
			if err != nil {
				left, errs = append(left, name), append(errs, err)
				continue
			}
			d = next
		}
		if len(left) == len(names) {
			return nil, errors.Join(errs...)
		}
		names = left
	}
	return d, nil
}

// stateError is the error of something that is in use.
func stateError(err error) error {
	if err == nil {
		return nil
	}
	e := fieldsError(err, "")
	e.Code, e.Detail, e.Remedy = CodeState, "it is in use: "+(&Error{Fields: e.Fields}).Error(), ""
	e.Fields = nil
	return e
}

// Rename gives a channel, and its route of that name, another one. The name is the route's identity, so that is safe
// only while nothing depends on it: the routes must be disabled, and nothing may wait for them or be dead; anything
// else is a CodeState.
func (s *Service) Rename(ctx context.Context, by By, name, etag, next string) (Channel, error) {
	if wrong := validateName(next, "/name"); wrong != nil {
		return Channel{}, wrong
	}
	return s.changeChannel(ctx, by, edit{typ: event.TypeChannelUpdated, channel: name, etag: etag, renamed: next,
		change: func(v *view, _ config.Options) (*config.Document, error) {
			d := v.document()
			if d.Channel(name) == nil {
				return nil, noChannel(name)
			}
			if d.Channel(next) != nil && next != name {
				return nil, newError(CodeExists, fmt.Sprintf("there is a channel %q already", clip(next)), "choose another name")
			}
			if err := s.validateIdle(ctx, by.Tenant, d, name); err != nil {
				return nil, err
			}
			d, err := d.RenameChannel(name, next)
			if err == nil && d.Route(name) != nil && slices.Contains(d.RoutesOf(next), name) {
				d, err = d.RenameRoute(name, next)
			}
			if err != nil {
				return nil, fieldsError(err, "")
			}
			return d, nil
		}})
}

// nameOf returns the name of a channel that is to be created.
func (s *Service) nameOf(in ChannelInput) (string, *Error) {
	if err := s.limit(in); err != nil {
		return "", err
	}
	name := textOf(in.Channel, "name")
	return name, validateName(name, "/channel/name")
}

// validateName refuses names that paths of URLs cannot have.
func validateName(name, at string) *Error {
	f := FieldError{Pointer: at, Code: channel.CodeInvalid}
	switch {
	case name == "":
		f.Code, f.Detail, f.Remedy = channel.CodeMissing, "is missing", "give the channel a name"
	case strings.ContainsAny(name, `/\`) || strings.Trim(name, ".") == "":
		f.Detail, f.Remedy = "cannot be in the path of a URL", `use no / and no \, and more than dots`
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.TrimSpace(name) != name:
		f.Detail, f.Remedy = "has characters that cannot be seen", "leave them out"
	default:
		return nil
	}
	return &Error{Code: CodeFields, Fields: []FieldError{f}}
}

// limit refuses what is too large.
func (s *Service) limit(in ChannelInput) *Error {
	size := len(in.Channel)
	for _, r := range in.Routes {
		size += len(r)
	}
	if most := s.options.Limits.Channel; size > most {
		return newError(CodeTooLarge, fmt.Sprintf("the channel and its routes have more than %d bytes", most), "make them smaller")
	}
	return nil
}

// put returns d with the channel and its routes. It reports everything that is wrong with them.
func (in ChannelInput) put(d *config.Document, name string, o config.Options) (*config.Document, error) {
	var all []FieldError
	collect := func(err error, below string) {
		if err != nil {
			all = append(all, fieldsError(err, below).Fields...)
		}
	}
	next, err := d.SetChannel(name, in.Channel, o)
	collect(err, "/channel")
	if err != nil {
		next = d
		if d.Channel(name) == nil { // the routes need one that is there
			if unknown, err := d.SetChannel(name, []byte(`{"type": "webhook", "url": "https://unknown.invalid"}`), config.Options{}); err == nil {
				next = unknown
			}
		}
	}
	if in.Routes != nil {
		var names []string
		for i, r := range in.Routes {
			below := fmt.Sprintf("/routes/%d", i)
			route := textOf(r, "name")
			if route == "" {
				route = name
			}
			r, wrong := withChannel(r, name)
			switch {
			case wrong != nil:
				all = append(all, FieldError{below, channel.CodeInvalid, wrong.Error(), "write it as an object", 0, 0})
				continue
			case textOf(r, "channel") != name && textOf(r, "channel") != "":
				all = append(all, FieldError{below + "/channel", channel.CodeConflict, "is another channel than the one that is changed", "leave it out, or change that one", 0, 0})
				continue
			case slices.Contains(names, route):
				all = append(all, FieldError{below + "/name", channel.CodeDuplicate, "is there already", "give every route its own name", 0, 0})
				continue
			case textOf(d.Route(route), "channel") != name && d.Route(route) != nil:
				all = append(all, FieldError{below + "/name", channel.CodeDuplicate, "is that of another channel's route", "choose another name", 0, 0})
				continue
			}
			names = append(names, route)
			edited, err := next.SetRoute(route, r, o)
			if collect(err, below); err == nil {
				next = edited
			}
		}
		if len(all) == 0 {
			gone := slices.DeleteFunc(d.RoutesOf(name), func(r string) bool { return slices.Contains(names, r) })
			left, err := removeRoutes(next, gone)
			if err != nil {
				return nil, stateError(err)
			}
			next = left
		}
	}
	if len(all) > 0 {
		return nil, &Error{Code: CodeFields, Fields: all}
	}
	return next, nil
}

// withChannel returns a route with the name of its channel, if it has none.
func withChannel(route json.RawMessage, name string) (json.RawMessage, error) {
	trimmed := bytes.TrimSpace(route)
	if len(trimmed) == 0 || trimmed[0] != '{' {
		return nil, errors.New("is not an object")
	}
	var has map[string]json.RawMessage
	if json.Unmarshal(trimmed, &has) == nil && has["channel"] != nil {
		return route, nil
	}
	rest := bytes.TrimSpace(trimmed[1:])
	comma := ","
	if bytes.HasPrefix(rest, []byte("}")) {
		comma = ""
	}
	return slices.Concat([]byte(`{"channel": `), quote(name), []byte(comma), trimmed[1:]), nil
}

func quote(s string) []byte {
	b, _ := json.Marshal(s) // a text always can be
	return b
}

// textOf returns a text of a JSON object; "" = there is none.
func textOf(object json.RawMessage, field string) string {
	var all map[string]json.RawMessage
	var text string
	if json.Unmarshal(object, &all) == nil {
		_ = json.Unmarshal(all[field], &text)
	}
	return text
}

// tree decodes what was given, as parts.tree does what is shown.
func (in ChannelInput) tree() any {
	routes := map[string]any{}
	for _, r := range in.Routes {
		routes[textOf(r, "name")] = tree(r)
	}
	return map[string]any{"channel": tree(in.Channel), "routes": routes}
}

// sign makes what recognises the input again, with the salt of an earlier one, or a new one.
func (in ChannelInput) sign(known []byte) []byte {
	const salt = 16
	key := make([]byte, salt)
	if len(known) > salt {
		copy(key, known)
	} else {
		_, _ = rand.Read(key) // which never fails
	}
	h := hmac.New(sha256.New, key)
	for _, part := range append([]json.RawMessage{in.Channel}, in.Routes...) {
		text, _ := json.Marshal(tree(part)) // with sorted fields
		h.Write(append(text, 0))
	}
	return h.Sum(key)
}
