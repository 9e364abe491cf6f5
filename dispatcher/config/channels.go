package config

import (
	"cmp"

	"github.com/tocsin-go/tocsin/channel"
)

// channels makes the channels of the document, by name. Those that are wrong are nil.
func (l *loader) channels(set *Set) map[string]channel.Channel {
	previous := l.options.Previous.byName()
	made := map[string]channel.Channel{}
	for i, v := range l.channelParts.list {
		name := v.text("name")
		l.part = indexed("channels", i)
		if b, ok := v.data.(*brokenPart); ok {
			if c := l.brokenChannel(v, b); c != nil {
				set.channels = append(set.channels, c)
				if l.channelParts.find(name) == v {
					made[name] = c.Channel
				}
			}
			continue
		}
		if l.channelParts.find(name) != v {
			continue // a name is missing or used twice, which is reported already
		}
		if c := l.channel(v, l.stored.find(name), previous[name]); c != nil {
			made[name] = c.Channel
			set.channels = append(set.channels, c) // even if something else is wrong, so that it is closed
		}
	}
	l.part = ""
	return made
}

// channel makes the channel that v describes, or takes the previous one if that was described like this. Where v has
// [redacted], the secrets of the stored one are kept. It returns nil after a problem.
func (l *loader) channel(v, stored *value, previous madeChannel) *sharedChannel {
	if stored != nil && stored.text("type") != v.text("type") {
		stored = nil
	}
	if !l.isMade {
		l.restore(v, stored)
	}
	e := l.environmentOf(v)
	same := sameCredential
	if l.isMade {
		same = identical
	}
	if previous.isLike(v, same, e) && previous.acquire() {
		return previous.sharedChannel
	}
	t, ok := l.types.types[v.text("type")]
	if !ok && v.complete() { // it was of another Registry
		l.report(v.get("type"), channel.CodeUnknown, "is not offered by the host", "name one that is"+among(&l.suggester, v.text("type"), l.types.types))
		return nil
	}
	whole := v.complete() && firstKept(v) == nil
	if !whole && !t.partial {
		return nil // which is reported already
	}
	var compiled []compiledTemplate
	made, err := t.channel(Settings{v, &compiled}, e)
	if err != nil {
		l.addAll(v, err, t.Paths)
		return nil
	}
	if !whole {
		_ = closeChannel(made)
		return nil
	}
	return newSharedChannel(made, v.text("name"), e, compiled)
}

// environmentOf is what the channel v is given. What it names and the host does not offer is reported.
func (l *loader) environmentOf(v *value) Environment {
	e := l.env
	e.Guard = offered(l.problems, v, "network", defaultNetwork, l.networks)
	e.Limits = offered(l.problems, v, "limits", defaultLimits, l.limits)
	if v.has("proxy") {
		e.Proxy = offered(l.problems, v, "proxy", "", l.options.Proxies)
	}
	if v.has("client_certificate") {
		e.ClientCertificate = offered(l.problems, v, "client_certificate", "", l.options.ClientCertificates)
	}
	if v.has("vocabulary") {
		e.Words = offered(l.problems, v, "vocabulary", "", l.vocabularies)
	}
	return e
}

// offered finds what a field of a channel names among what the host offers.
func offered[T any](p *problems, of *value, field, def string, all map[string]T) T {
	name := cmp.Or(of.text(field), def)
	found, ok := all[name]
	switch {
	case ok:
	case len(all) == 0:
		p.report(of.get(field), channel.CodeUnknown, "is not offered by the host", "leave it out; the host offers none")
	default:
		p.report(of.get(field), channel.CodeUnknown, "is not offered by the host", "name one that is"+among(&p.suggester, name, all))
	}
	return found
}
