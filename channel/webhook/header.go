package webhook

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/template"
)

// Header is one header of every request.
type Header struct {
	// Name is a token (RFC 9110 section 5.6.2), unique without regard to case. Names that the channel or HTTP itself
	// sets are refused: Host, Content-Type, Content-Length, Content-Encoding, Accept-Encoding, Transfer-Encoding,
	// Connection, Keep-Alive, TE, Trailer, Upgrade, Expect, HTTP2-Settings, Proxy-…, webhook-…, Tocsin-Test,
	// Authorization beside an Auth, and what Sign and a Body of CloudEvents set.
	Name string
	// Value is printable ASCII and tabs, at most 8 KiB; blanks around it are removed.
	Value string
	// Secret is the value of a sensitive header, in place of Value: it is asked for with every attempt, and hidden in
	// receipts and in what the receiver answers. Authorization and Cookie are hidden in any case. Which of the two
	// fields is used is the flag, so there is no text that taking the flag back could show.
	Secret secret.Value
	// Template makes the value from the event, in place of Value, see [Config]. It is compiled for template.Header. A
	// value with characters beyond printable ASCII, such as "Tomás 100%", is sent percent-encoded in UTF-8, with its
	// percent signs: "Tom%C3%A1s 100%25". Receivers refuse or garble the bytes as they are, and everybody can decode
	// this. A value without such characters is sent as it is, and texts that make a value longer than 8 KiB are cut.
	Template *template.Template
}

// sensitive reports whether the header's value is write-only.
func (h Header) sensitive() bool { return !h.Secret.IsZero() }

// Format prints the name only, whatever the verb.
func (h Header) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, h.Name) }

// LogValue is what Format prints; without it a JSON log handler would write the value.
func (h Header) LogValue() slog.Value { return slog.StringValue(h.Name) }

const maxHeaderValue = 8 << 10

// fixedHeader validates Headers and returns the header of every request, with canonical names, each value trimmed and
// in a slice of its own. That of a sensitive header is secret.Redacted, that of one with a template is empty.
func (c Config) fixedHeader() (http.Header, []headerTemplate, error) {
	var templates []headerTemplate
	var errs []error
	header := make(http.Header, len(c.Headers)+5)
	for i, h := range c.Headers {
		field := fmt.Sprintf("Headers[%d]", i)
		name := http.CanonicalHeaderKey(h.Name)
		switch {
		case h.Name == "":
			errs = append(errs, configError(channel.CodeMissing, field+".Name", "is empty", "give it, or remove the header"))
			continue
		case !isToken(h.Name):
			errs = append(errs, configError(channel.CodeInvalid, field+".Name", "holds a character that header names must not have", "use letters, digits and hyphens"))
			continue
		case reserved(name):
			errs = append(errs, configError(channel.CodeConflict, field+".Name", "is a header that is set by this channel or by HTTP itself", "remove it; the content type has a field of its own"))
			continue
		case c.setBy(name) != "":
			errs = append(errs, configError(channel.CodeConflict, field+".Name", "is "+name+", which "+c.setBy(name)+" sets", "remove one of them"))
			continue
		case header[name] != nil:
			errs = append(errs, configError(channel.CodeDuplicate, field+".Name", "repeats an earlier header", "remove one of them"))
			continue
		}
		value, problem := headerValue(h.Value)
		if problem != "" {
			errs = append(errs, configError(channel.CodeInvalid, field+".Value", problem, "shorten or encode it"))
		}
		if h.sensitive() {
			literal, _ := literalOf(h.Secret)
			if _, problem := headerValue(literal); problem != "" {
				errs = append(errs, configError(channel.CodeInvalid, field+".Secret", problem, "shorten or encode it"))
			}
			if h.Value != "" {
				errs = append(errs, configError(channel.CodeConflict, field+".Value", "is set beside a secret", "remove one of them"))
			}
			value = secret.Redacted
		}
		header[name] = []string{value}
		if h.Template != nil {
			errs = append(errs, h.validateTemplate(field))
			templates = append(templates, headerTemplate{field + ".Template", name, alwaysSensitive(name), h.Template})
		}
	}
	if header["User-Agent"] == nil {
		header["User-Agent"] = []string{netguard.DefaultUserAgent}
	}
	header["Content-Type"] = []string{c.contentType()}
	header["Accept-Encoding"] = []string{"identity"} // a response worth compressing is not worth reading
	if c.Auth.scheme != none {
		header["Authorization"] = []string{secret.Redacted}
	}
	return header, templates, errors.Join(errs...)
}

// setBy names what in c sets a header of that canonical name, or "".
func (c Config) setBy(name string) string {
	switch events, ok := c.Body.source.(*cloudEvents); {
	case name == "Authorization" && c.Auth.scheme != none:
		return "the authorization"
	case slices.Contains(c.Sign.headers(), name):
		return "the signature"
	case ok && events.options.Binary && strings.HasPrefix(name, cePrefix):
		return "the body"
	}
	return ""
}

func (h Header) validateTemplate(field string) error {
	switch {
	case h.Value != "":
		return configError(channel.CodeConflict, field+".Value", "is set beside a template", "remove one of them")
	case h.sensitive():
		return configError(channel.CodeConflict, field+".Secret", "is set beside a template", "remove one of them")
	case h.Template.Mode() != template.Header:
		return configError(channel.CodeTemplate, field+".Template", "is not a template for headers", "compile it for headers")
	}
	return nil
}

// headerValue returns v without blanks around it, and what is wrong with it, or "".
func headerValue(v string) (value, problem string) {
	value = strings.Trim(v, " \t")
	switch {
	case len(value) > maxHeaderValue:
		return "", "is longer than 8 KiB"
	case strings.ContainsFunc(value, func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') }):
		return "", "holds a character that is not printable ASCII"
	}
	return value, ""
}

// headerText returns the value of a header for a text, without blanks around it. It may be too long.
func headerText(text string) string {
	value := strings.Trim(text, " \t")
	if strings.ContainsFunc(value, func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') }) {
		value = encodeBytes(value, func(c byte) bool { return c == '\t' || c >= ' ' && c <= '~' && c != '%' })
	}
	return value
}

// isToken reports whether s is a token in the sense of RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

// reserved reports whether a header of that canonical name is not the user's to set.
func reserved(name string) bool {
	return strings.HasPrefix(name, "Proxy-") || strings.HasPrefix(name, "Webhook-") || slices.Contains([]string{
		"Host", "Content-Type", "Content-Length", "Content-Encoding", "Accept-Encoding", "Transfer-Encoding", "Connection",
		"Keep-Alive", "Te", "Trailer", "Upgrade", "Expect", "Http2-Settings", testHeader,
	}, name)
}

// alwaysSensitive reports whether the values of that canonical name are credentials by definition.
func alwaysSensitive(name string) bool { return name == "Authorization" || name == "Cookie" }

// UpdateHeaders returns next, to be saved in place of stored, with [secret.Kept] values taken from stored. Names are
// compared without regard to case. It refuses, with a *channel.ConfigError for each:
//   - a header that is sensitive in stored and is not in next: the choice cannot be undone, only the header removed;
//   - a kept value for a header that is not in stored, or was not sensitive there;
//   - a kept value when sameDestination is false, because whoever may edit but not read the configuration could
//     otherwise have the value sent to a server of their own, or to somebody else's path on a shared one. Pass whether
//     the URL as a whole leads to where it did: scheme, host as it is dialled, port, path and query.
func UpdateHeaders(stored, next []Header, sameDestination bool) ([]Header, error) {
	known := make(map[string]Header, len(stored))
	for _, h := range stored {
		known[strings.ToLower(h.Name)] = h
	}
	merged := make([]Header, 0, len(next))
	var errs []error
	for i, h := range next {
		old := known[strings.ToLower(h.Name)]
		header := fmt.Sprintf("Headers[%d]", i)
		switch {
		case old.sensitive() && !h.sensitive():
			errs = append(errs, configError(channel.CodeConflict, header, "was saved as sensitive, which cannot be undone", "give the value as a secret, or remove the header"))
		case !h.Secret.IsKept():
		case !old.sensitive():
			errs = append(errs, configError(channel.CodeStored, header+".Secret", "has no stored value to keep", "give the value"))
		case !sameDestination:
			errs = append(errs, configError(channel.CodeStored, header+".Secret", "cannot keep its stored value, because the destination has changed", "give the value again"))
		default:
			h.Secret = old.Secret
		}
		merged = append(merged, h)
	}
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	return merged, nil
}
