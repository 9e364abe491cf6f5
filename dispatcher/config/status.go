package config

import (
	"net/textproto"
	"slices"
	"strconv"

	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

// isCredential names the headers whose values are credentials by their meaning.
func isCredential(header string) bool {
	return slices.Contains([]string{"Authorization", "Proxy-Authorization", "Cookie"}, textproto.CanonicalMIMEHeaderKey(header))
}

// verdicts tries again after the listed statuses: success is judged elsewhere, and all others are permanent.
func verdicts(words []string) func(status int) retry.Verdict {
	if slices.Contains(words, "all") {
		return webhook.RetryAllButSuccess
	}
	return func(status int) retry.Verdict {
		text := strconv.Itoa(status)
		if slices.Contains(words, text) || slices.Contains(words, text[:1]+"xx") {
			return retry.VerdictTransient
		}
		return retry.VerdictPermanent
	}
}
