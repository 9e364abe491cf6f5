// Package preset configures webhooks for named products. Each function takes what the user has to supply and returns a
// [webhook.Config], which the user may change further before giving it to [webhook.New]: another URL for a region, a
// Guard, a Proxy, more headers.
//
// A preset says what the product expects: where to send, how to authenticate, which answers mean what, and a body in
// which a person finds who, what, why and until when, with a link. The words come from package notice. Text that is too
// long for the product is shortened with "…", never the JSON. What an event says stays text: it cannot add a key, a
// recipient, a mention or a link.
//
// Every fact about a product names its source; "recalled" marks one that is known from experience only.
package preset
