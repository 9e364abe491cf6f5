package webhook

import (
	"bytes"
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	// masked takes the place of a value that must not be shown.
	masked = "***"
	// minSecret is the shortest value that is searched for: shorter ones would be found in ordinary text.
	minSecret = 8
)

// redactor removes known secrets from what a receiver answers, since some receivers repeat what they were sent. It looks
// for the values as they are, not for other encodings of them.
type redactor struct {
	secrets []string
	bytes   [][]byte // the same
}

// newRedactor takes the secrets of a channel. Longer ones come first, so that of two that overlap nothing remains.
func newRedactor(secrets []string) redactor {
	secrets = slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return len(s) < minSecret })
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	r := redactor{secrets: slices.Compact(secrets)}
	for _, s := range r.secrets {
		r.bytes = append(r.bytes, []byte(s))
	}
	return r
}

// with returns a redactor that looks for more secrets as well.
func (r redactor) with(more []string) redactor {
	if len(more) == 0 {
		return r
	}
	return newRedactor(slices.Concat(r.secrets, more))
}

// urlSecrets returns the parts of u that are credentials.
func urlSecrets(u *url.URL) []string {
	secrets := []string{u.RequestURI(), u.EscapedPath(), u.Path, u.RawQuery}
	for _, values := range u.Query() {
		secrets = append(secrets, values...)
	}
	return secrets
}

// body returns b without secrets. When b was cut off, the beginning of a secret at its end is removed as well. b itself
// may be modified.
func (r redactor) body(b []byte, truncated bool) []byte {
	for _, s := range r.bytes {
		if bytes.Contains(b, s) {
			b = bytes.ReplaceAll(b, s, []byte(masked))
		}
	}
	if !truncated {
		return b
	}
	for _, s := range r.bytes {
		for n := min(len(s)-1, len(b)); n >= minSecret; n-- {
			if bytes.HasSuffix(b, s[:n]) {
				return append(b[:len(b)-n], masked...)
			}
		}
	}
	return b
}

// header removes secrets from h in place: the known ones, cookies, and all but the origin of a Location.
func (r redactor) header(h http.Header) {
	for name, values := range h {
		for i, v := range values {
			switch name {
			case "Set-Cookie":
				v = masked
			case "Location", "Content-Location", "Refresh":
				v = locationOrigin(v)
			}
			for _, s := range r.secrets {
				v = strings.ReplaceAll(v, s, masked)
			}
			values[i] = v
		}
	}
}

// locationOrigin shows scheme and host of an absolute URL and nothing of a relative one.
func locationOrigin(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return masked
	}
	return origin(u)
}
