package secret

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
)

// MaxMasks is the largest number of masks of a URL.
const MaxMasks = 10

// URL is an address with secret parts. Text is what is stored and shown; each mask's Replacement in it stands for that
// mask's Value in the address that is called. Masks stand behind scheme, host and port, which are never secret.
type URL struct {
	Text  string `json:"text"`
	Masks []Mask `json:"masks,omitempty"`
}

// Mask is one secret part of a URL. Value is inserted as it is, so it must be percent-encoded where a URL needs it.
type Mask struct {
	Replacement string `json:"replacement"` // 1 to 100 letters, digits and -._~!$*{}[]; must occur in the text
	Value       Value  `json:"value"`
}

// String shows the URL with the replacements.
func (u URL) String() string { return u.Text }

// Validate validates the masks: at most 10; every replacement occurs in the text behind scheme, host and port, not in
// them, and none within another, so that there is one way to read it. It does not validate the URL, which has to be
// expanded for that. The error joins a *channel.ConfigError for each mistake.
func (u URL) Validate() error {
	if len(u.Masks) == 0 {
		return nil
	}
	origin, rest := splitOrigin(u.Text)
	if origin == "" {
		return configError(channel.CodeInvalid, "Text", "does not begin with scheme and host", "write it as https://host/path")
	}
	var errs []error
	if len(u.Masks) > MaxMasks {
		errs = append(errs, configError(channel.CodeRange, maskField(MaxMasks), "is one too many", fmt.Sprintf("use at most %d", MaxMasks)))
	}
	for i, m := range u.Masks {
		replacement := maskField(i) + ".Replacement"
		switch {
		case m.Replacement == "":
			errs = append(errs, configError(channel.CodeMissing, replacement, "is empty", "use 1 to 100 letters, digits and -._~!$*{}[]"))
		case len(m.Replacement) > 100 || strings.Trim(m.Replacement, replacementChars) != "":
			errs = append(errs, configError(channel.CodeInvalid, replacement, "cannot be used", "use 1 to 100 letters, digits and -._~!$*{}[]"))
		case strings.Contains(origin, m.Replacement):
			errs = append(errs, configError(channel.CodeConflict, replacement, "occurs in scheme, host or port", "choose another one"))
		case !strings.Contains(rest, m.Replacement):
			errs = append(errs, configError(channel.CodeConflict, replacement, "does not occur in the URL", "put it where the value belongs"))
		default:
			if j := u.containing(i); j >= 0 {
				errs = append(errs, configError(channel.CodeConflict, replacement, fmt.Sprintf("is part of that of mask %d", j+1), "choose another one"))
			}
		}
		if m.Value.IsZero() {
			errs = append(errs, configError(channel.CodeMissing, maskField(i)+".Value", "is missing", "give it, or remove the mask"))
		}
	}
	return errors.Join(errs...)
}

// containing finds another mask whose replacement contains that of mask i, or -1.
func (u URL) containing(i int) int {
	for j, other := range u.Masks {
		if i != j && strings.Contains(other.Replacement, u.Masks[i].Replacement) {
			return j
		}
	}
	return -1
}

const replacementChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$*{}[]"

// Expand returns the address to call, which must not be shown. Call it once per attempt, like [Value.Reveal].
func (u URL) Expand(ctx context.Context) (string, error) {
	if len(u.Masks) == 0 {
		return u.Text, nil
	}
	origin, rest := splitOrigin(u.Text)
	pairs := make([]string, 0, 2*MaxMasks)
	for _, m := range u.Masks {
		text, err := m.Value.Reveal(ctx)
		if err != nil {
			return "", err
		}
		pairs = append(pairs, m.Replacement, text)
	}
	return origin + strings.NewReplacer(pairs...).Replace(rest), nil // one pass: a value is not searched for replacements
}

// Values lists the masks' values, for [NewSet].
func (u URL) Values() []Value {
	values := make([]Value, len(u.Masks))
	for i, m := range u.Masks {
		values[i] = m.Value
	}
	return values
}

// Update returns next, to be saved in place of u, with [Kept] values taken from the masks of u with the same
// replacement. A value can be kept only while Text is as before, byte by byte: otherwise whoever may edit but not read
// the configuration could have it sent to a server of their own, by a name that only looks the same, or to another path
// of a server that many share. The error joins a *channel.ConfigError for each mistake.
func (u URL) Update(next URL) (URL, error) {
	merged := URL{Text: next.Text}
	var errs []error
	for i, m := range next.Masks {
		if m.Value.IsKept() {
			old, ok := u.mask(m.Replacement)
			switch {
			case !ok:
				errs = append(errs, configError(channel.CodeStored, maskField(i)+".Value", "has no stored value to keep", "give the value"))
			case u.Text != next.Text:
				errs = append(errs, configError(channel.CodeStored, maskField(i)+".Value",
					"cannot keep its stored value, because the destination has changed", "give the value again"))
			}
			m.Value = old.Value
		}
		merged.Masks = append(merged.Masks, m)
	}
	if errs != nil {
		return URL{}, errors.Join(errs...)
	}
	return merged, merged.Validate()
}

func (u URL) mask(replacement string) (Mask, bool) {
	for _, m := range u.Masks {
		if m.Replacement == replacement {
			return m, true
		}
	}
	return Mask{}, false
}

// splitOrigin cuts a URL behind scheme, host and port; origin is "" if it has no such beginning.
func splitOrigin(text string) (origin, rest string) {
	scheme, after, ok := strings.Cut(text, "://")
	if !ok {
		return "", text
	}
	host := after
	if i := strings.IndexAny(after, "/?#"); i >= 0 {
		host = after[:i]
	}
	n := len(scheme) + len("://") + len(host)
	return text[:n], text[n:]
}

func maskField(i int) string { return fmt.Sprintf("Masks[%d]", i) }

func configError(code channel.ConfigCode, path, problem, remedy string) error {
	return &channel.ConfigError{Package: "secret", Path: path, Code: code, Problem: problem, Remedy: remedy}
}
