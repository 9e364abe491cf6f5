// Package preset configures webhooks for named products. Each function takes what the user has to supply and returns a
// [webhook.Config], which the user may change further before giving it to [webhook.New]: another URL for a region, a
// Guard, a Proxy, more headers.
//
// A preset says what the product expects: where to send, how to authenticate, which answers mean what, and a body in
// which a person finds who, what, why and until when, with a link. The words come from package notice. Text that is too
// long for the product is shortened with "…", never the JSON. What an event says stays text: it cannot add a key, a
// recipient, a mention or a link.
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
