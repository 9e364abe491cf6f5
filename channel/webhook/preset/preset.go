// Package preset configures webhooks for named products. Each function takes what the user has to supply and returns a
// [webhook.Config], which the user may change further before giving it to [webhook.New]: another URL for a region, a
// Guard, a Proxy, more headers.
//
// A preset says what the product expects: where to send, how to authenticate, which answers mean what, and a body in
// which a person finds who, what, why and until when, with a link. The words come from package notice. Text that is too
// long for the product is shortened with "…", never the JSON. What an event says stays text: it cannot add a key, a
// recipient, a mention or a link.
//
// What a product gets about a test event (event.Event.IsTest) says TEST where people see it first, in its title, has
// the lowest severity, and belongs to nothing else: it opens something of its own, which somebody has to close where
// the product does not.
//
//	SendGrid    e-mail, text and HTML                  a mail for each recipient; an unverified sender is permanent
//	PagerDuty   trigger, acknowledge, resolve          an incident per subject: give the route Order: BySubject;
//	                                                   break-glass stays unacknowledged until a person looks
//	Teams       Adaptive Card, by a workflow           at most 28 KB, no Markdown from events
//	Discord     embed                                  nobody is mentioned; a deleted webhook is gone
//	Jira        issue, in Atlassian's document format  no idempotency key: a property names the delivery
//	ServiceNow  incident                               correlation_id is the subject
//	Splunk      HEC event with indexed fields          source type tocsin:event
//	Datadog     event in the stream                    grouped by subject
//
// Every fact about a product names its source; "recalled" marks one that is known from experience only.
package preset

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

// joinedURL is the address of an API below the address of an instance. A query of the instance's own stays, for a
// gateway that wants one, before query; a fragment stays as well, so that webhook.New refuses it. Nothing is parsed and
// written anew, because the address may hold the replacements of webhook.Config.Masks.
func joinedURL(instance, path, query string) string {
	address, fragment, hasFragment := strings.Cut(instance, "#")
	base, own, _ := strings.Cut(address, "?")
	if base = strings.TrimRight(base, "/"); !strings.HasSuffix(base, path) {
		base += path
	}
	if own != "" && query != "" {
		own += "&"
	}
	if own += query; own != "" {
		base += "?" + own
	}
	if hasFragment {
		base += "#" + fragment
	}
	return base
}

// decode decodes the body of a response. What is not JSON of that form, for example a proxy's page, gives the zero T.
func decode[T any](a webhook.Response) T {
	var v T
	if json.Unmarshal(content(a), &v) != nil {
		var none T
		return none
	}
	return v
}

// content is the body without the byte order mark that some gateways put in front of JSON.
func content(a webhook.Response) []byte { return bytes.TrimPrefix(a.Body, []byte("\ufeff")) }

func isJSON(a webhook.Response) bool { return json.Valid(content(a)) }

// expected makes a success of anybody but the product no success: a page, or nothing, from whoever stands before it. ok
// says that the response has the product's form. The product may have taken the event all the same.
func expected(r webhook.Reading, ok bool) webhook.Reading {
	if r.Verdict == retry.VerdictSuccess && !ok {
		r.Verdict, r.Reason, r.OutcomeUnknown = retry.VerdictTransient, "unexpected response", true
	}
	return r
}

// created is expected for products that answer with the id of what they made, and make another one when they are asked
// again. A response that has lost its body on the way is therefore a success, since 201 is nobody else's.
func created(a webhook.Response, r webhook.Reading) webhook.Reading {
	return expected(r, r.ProviderID != "" || a.Truncated || len(a.Body) == 0)
}

// name keeps s as a reason when it is a name or a code. Sentences are dropped: they may quote the event.
func name(s string) string {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-[]"
	if len(s) > 60 || strings.Trim(s, allowed) != "" {
		return ""
	}
	return s
}

// maybeDone reports whether a status leaves open what the receiver did: it, or somebody before it, failed in the
// middle. For a receiver without idempotency keys a retry may then repeat what was done.
func maybeDone(status int) bool { return status >= 500 && status != 503 }
