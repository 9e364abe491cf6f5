package webhook

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/template"
)

// maxURL is netguard's.
const maxURL = 8 << 10

// checkPath returns what is wrong with t as Config.Path beside u as Config.URL, as far as it shows without data.
func checkPath(u *url.URL, t *template.Template, l netguard.Limits) error {
	switch {
	case t.Mode() != template.URL:
		return mistake(channel.CodeTemplate, "Path", "is not a template for URLs", "compile it for URLs")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery:
		return mistake(channel.CodeConflict, "URL", "has a path or query beside the template that makes them", "move them into the template")
	}
	// Values are percent-encoded, so what is wrong here is wrong in the template's own text. Not so a render that fails
	// and a first segment that is empty: both may come from the lack of data.
	out, err := t.Render(context.Background(), nil, map[string]any{})
	if err == nil && !bytes.HasPrefix(out, []byte("//")) {
		if _, wrong := withPath(netguard.Origin(u), string(out), l); wrong != nil {
			return wrong
		}
	}
	return nil
}

// withPath returns the URL of an origin with a path and query that a template made. The first character decides that
// the host stays the origin's, and a second slash would make the path read like a host.
func withPath(origin, path string, l netguard.Limits) (*url.URL, *channel.ConfigError) {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		return nil, mistake(channel.CodeInvalid, "Path", "does not begin with exactly one slash", "begin it with one, and let what may be empty not fill the first segment")
	}
	u, err := netguard.CheckURL("Path", origin+path, l)
	if wrong, ok := errors.AsType[*channel.ConfigError](err); ok {
		return nil, mistake(wrong.Code, "Path", wrong.Problem, wrong.Remedy)
	}
	return u, nil
}
