package webhook

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
)

// UpdateHeaders returns next, to be saved in place of stored, with [secret.Kept] values taken from stored. Names are
// compared without regard to case. It refuses, with a *channel.ConfigError for each:
//   - a header that is sensitive in stored and is not in next: the choice cannot be undone, only the header removed;
//   - a kept value for a header that is not in stored, or was not sensitive there;
//   - a kept value when sameDestination is false, because whoever may edit but not read the configuration could otherwise
//     have the value sent to a server of their own, or to somebody else's path on a shared one. Pass whether the URL as a
//     whole leads to where it did: scheme, host as it is dialled, port, path and query.
func UpdateHeaders(stored, next []Header, sameDestination bool) ([]Header, error) {
	known := make(map[string]Header, len(stored))
	for _, h := range stored {
		known[strings.ToLower(h.Name)] = h
	}
	merged := make([]Header, 0, len(next))
	var errs []error
	for i, h := range next {
		old := known[strings.ToLower(h.Name)]
		field := fmt.Sprintf("Headers[%d].Secret", i)
		switch {
		case old.Sensitive() && !h.Sensitive():
			errs = append(errs, mistake(channel.CodeConflict, field, "was saved as sensitive, which cannot be undone", "give the value as a secret, or remove the header"))
		case !h.Secret.IsKept():
		case !old.Sensitive():
			errs = append(errs, mistake(channel.CodeStored, field, "has no stored value to keep", "give the value"))
		case !sameDestination:
			errs = append(errs, mistake(channel.CodeStored, field, "cannot keep its stored value, because the destination has changed", "give the value again"))
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
