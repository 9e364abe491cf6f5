// Package signature makes and checks the signatures by which a receiver of webhooks knows who sent a request and that
// nobody changed it, in the styles of Standard Webhooks, GitHub, Stripe and Slack. All are HMAC-SHA256.
//
// A signature covers the bytes of a body, whatever they are: forms and plain text too. But libraries of Standard
// Webhooks that return the parsed JSON of what they have checked refuse bodies that are no JSON; receivers of those
// need a [Verifier] or a library that only checks.
//
// Senders need it through webhook.Sign only. A receiver written in Go makes a [Verifier] and asks it before it believes
// anything in the request. The package imports nothing beyond the standard library.
package signature
