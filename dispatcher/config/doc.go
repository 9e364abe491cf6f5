// Package config reads channels and routes from JSON or YAML documents, and writes them back without their secrets.
//
// A document has channels, which say where events go, and routes, which say which events, how often, and what happens
// when that fails:
//
//	version: 1
//	channels:
//	  - type: webhook
//	    name: tickets
//	    url: https://tickets.example.com/hooks/{key}
//	    masks: [{replacement: "{key}", value: env:TICKETS_KEY}]
//	    headers: [{name: X-Source, value: pam}]
//	    body: {kind: template, template: '{"summary": "{{data.justification}}"}'}
//	  - type: email
//	    name: on-call
//	    smtp_host: relay.example.com
//	    from_address: pam@example.com
//	    to_addresses: [on-call@example.com]
//	routes:
//	  - name: tickets
//	    channel: tickets
//	    events: [request.*]
//	    retry: {count: 3}
//	    dedup: {window: 2h}
//	    alerts: {after: 10m, resend: 1h, to: [on-call]}
//	  - name: on-call
//	    channel: on-call
//	    events: [request.break_glass]
//
// The file schema.json lists every field for editors; the line
//
//	# yaml-language-server: $schema=https://raw.githubusercontent.com/tocsin-go/tocsin/main/dispatcher/config/schema.json
//
// at the top of a YAML file is enough for many. The documents under testdata/styles configure the five products that
// Tocsin stands in for.
//
// [Load] makes a [Set] of a document: routes for the dispatcher, alerts for a health.Monitor, and what has to be
// closed. [Apply] puts it in force, in the place of the Set before:
//
//	next, err := config.Load("routes.yaml", src, config.Options{Tenant: tenant, Previous: set, ...})
//	set, err = config.Apply(ctx, engine, monitor, set, next)
//
// Channels that the new document describes as before are those of the previous Set: their connections, their pace and
// what they remember live on, and the Engine sees that routes which use them did not change. Any number of tenants'
// documents are in force in one Engine, each with the names that it likes; alerts and fallbacks stay within a document.
//
// # Editing
//
// A [Document] is changed channel by channel and route by route, without its text: [Document.SetChannel] and its
// neighbours return another Document, which [Document.Load] makes a Set of. Secrets stay where they are, and errors are
// about the part that was given:
//
//	d, err := set.Document.SetChannel("tickets", posted, options)
//	next, err := d.Load(options) // with Previous: set
//	stored, err := d.Reveal(ctx) // for the host's own, encrypted store
//
// # Secrets
//
// A secret is text in the document or a reference such as env:TICKETS_KEY, as far as [Options].References allow it.
// What looks like a reference and is none, such as ${TICKETS_KEY} or ENV:TICKETS_KEY, is an error: it would be sent as
// it is. A secret that really looks so is written behind literal:, as in literal:env:X.
//
// Text is write-only: [Document] shows [redacted] in its place, and the whole path of a URL that has no masks. A
// document that comes back with [redacted] keeps the secret of the one named by Options.Stored or Options.Previous, for
// as long as the channel sends to the same place: who may edit a configuration but not read its secrets cannot have
// them sent elsewhere. The same place is the whole destination in the form in which it is dialled: scheme, host, port,
// path and query of a URL, with the values of its masks as they were; host, port and TLS of a relay; the topic of SNS;
// the channel of a Slack app; and the same network and proxy. Anything else asks for the secrets again.
// [Document.Reveal] is for the host's own, encrypted store.
//
// # What the host decides
//
// A document names networks (which addresses are reached), limits (which URLs, methods and numbers of headers are
// allowed), proxies, client certificates, kinds of references and types of channels; Options say what these names mean.
// The zero Options allow public addresses, HTTPS, no references, and events without a tenant: nothing that a document
// says reaches beyond that. For documents that tenants write, set Options.Tenant, so that the routes take that tenant's
// events. Options.Tenants is for the operator's documents, whose routes may name the tenants in it.
//
// A [Registry] adds types of channels, each with a table of its fields: they are read, checked, shown, kept and
// described in the [Schema] like the built-in ones. Package snsconfig, a module of its own, has one for topics of
// Amazon SNS.
//
// # Errors
//
// Everything that is wrong is reported at once, each as an [Error]: a channel.ConfigError with file, line and column,
// whose path leads through the document, with what to do and a code for programs:
//
//	routes.yaml:6:5: channels[0].headres is not a field; did you mean headers?
//	routes.yaml:8:45: routes[0].timeout has no unit; write a number and a unit, such as 90s, 15m or 2h, or none
//
// Unknown fields, fields that are there twice or there and empty, and values of another kind are errors. No error holds
// a value that might be a credential. A field without a value (null) is as if it were not there, unless it protects
// something, such as ca_certificate or sign.
//
// [Set.Findings] lists what loads and is probably a mistake, such as a path in a template that no event of its routes
// has.
//
// All functions may be called concurrently, and so may all methods but [Set.Close].
package config
