package webhook

import (
	"net/http"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
)

// redactHeader removes secrets from resp's header in place: the known ones, cookies, and all but the origin of a
// redirect's target, which may be a signed URL.
func redactHeader(r *secret.Redactor, resp *http.Response) {
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
			values[i] = r.String(v)
		}
	}
}
