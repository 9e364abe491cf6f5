// Package signature makes and checks the signatures by which a receiver of webhooks knows who sent a request and that
// nobody changed it, in the styles of Standard Webhooks, GitHub, Stripe and Slack. All are HMAC-SHA256.
//
// Senders need it through webhook.Sign only. A receiver written in Go makes a [Verifier] and asks it before it believes
// anything in the request. The package imports nothing beyond the standard library.
package signature
