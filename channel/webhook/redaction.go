package webhook

import (
	"net/http"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
)

// hiding removes the secrets of the configuration and those of what templates made for one attempt.
type hiding struct{ configured, made *secret.Redactor }

func (h hiding) text(s string) string  { return h.made.String(h.configured.String(s)) }
func (h hiding) bytes(b []byte) []byte { return h.made.Bytes(h.configured.Bytes(b)) }
func (h hiding) cut(b []byte) []byte   { return h.made.Cut(h.configured.Cut(b)) }

// redactHeader removes secrets from resp's header in place: the known ones, cookies, and all but the origin of a redirect's
// target, which may be a signed URL.
func redactHeader(h hiding, resp *http.Response) {
	for name, values := range resp.Header {
		for i, v := range values {
			switch name {
			case "Set-Cookie":
				v = secret.Redacted
			case "Location", "Content-Location", "Refresh":
				if v = netguard.LocationOrigin(resp.Request.URL, v); v == "" {
					v = secret.Redacted
				}
			}
			values[i] = h.text(v)
		}
	}
}
