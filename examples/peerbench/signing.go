package main

import (
	"crypto/sha256"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/tocsin-go/tocsin/channel/webhook/signature"
)

// signing is the contest of signing a body.
func signing(amount int) contest {
	body := []byte(strings.Repeat("x", 1<<10))
	return contest{
		name: "signature", title: "Signatures", unit: "signature", amount: amount, warm: amount / 10,
		work: "A Standard Webhooks signature of a body of 1 KiB, with a key that was prepared beforehand.",
		entrants: []entrant{
			repeated("standard-webhooks", func() (func() error, error) {
				hook, err := standardwebhooks.NewWebhook(signingSecret)
				return func() error { _, err := hook.Sign("event-7", time.Unix(1e9, 0), body); return err }, err
			}),
			repeated(ourSignature, func() (func() error, error) {
				key, err := signature.NewKey(signature.Standard, signingSecret)
				return func() error { signature.Standard.Sign("event-7", time.Unix(1e9, 0), body, key); return nil }, err
			}),
			repeated(hashAlone, func() (func() error, error) {
				return func() error { _ = sha256.Sum256(body); return nil }, nil
			}),
		},
	}
}
