package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
)

// restorer puts stored secrets in place of [redacted].
type restorer struct {
	*problems
	same bool // the channel sends to where it did
}

const (
	nothingStored = "has no stored value to keep"
	moved         = "cannot keep its stored value, because the destination has changed"
)

// restore fills in the secrets of a channel from the stored one of the same name and type, which may be nil.
func (p *problems) restore(next, stored *value) {
	r := restorer{p, stored != nil && sameDestination(next, stored, next.table)}
	r.object(next, stored)
}

// sameDestination compares the fields that say where a channel sends.
func sameDestination(next, stored *value, table []Field) bool {
	return !slices.ContainsFunc(table, func(f Field) bool {
		a, b := next.get(f.Name), stored.get(f.Name)
		switch {
		case f.Destination && f.Kind == Address:
			return !keepsAddress(a, b) && origin(next.text(f.Name)) != origin(stored.text(f.Name))
		case f.Destination && f.Kind == Variants && a.text(f.Tag) != b.text(f.Tag):
			return true
		case f.Destination && f.Kind != Variants:
			return !equal(a, b)
		case a != nil && b != nil && f.isObject() && !f.isList():
			return !sameDestination(a, b, a.table)
		}
		return false
	})
}

// keepsAddress tells whether the address next is the stored one as it was shown.
func keepsAddress(next, stored *value) bool {
	return next != nil && stored != nil && next.data == shownAddress(stored.data.(string))
}

// equal compares values that hold no secret.
func equal(a, b *value) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.data != b.data || len(a.fields) != len(b.fields) || !slices.EqualFunc(a.items, b.items, equal) {
		return false
	}
	for name, f := range a.fields {
		if !equal(f, b.fields[name]) {
			return false
		}
	}
	return true
}

func (r *restorer) object(next, stored *value) {
	for _, f := range next.table {
		v := next.get(f.Name)
		if v == nil {
			continue
		}
		old := stored.get(f.Name)
		switch {
		case f.Kind == Address && !f.List:
			r.address(v, old, len(next.masked()) > 0)
		case f.Kind == Masks:
			r.masks(next, stored, f.Name)
		case f.Kind == Headers:
			r.headers(next, stored, f.Name)
		case f.isList():
			r.unnamed(v)
		case f.isObject():
			if old != nil && f.Kind == Variants && v.text(f.Tag) != old.text(f.Tag) {
				old = nil
			}
			r.object(v, old)
		case f.Kind == Secret:
			r.secret(v, old)
		}
	}
}

func (r *restorer) secret(v, old *value) {
	c, _ := v.data.(credential)
	if !c.value.IsKept() {
		return
	}
	stored, ok := credential{}, false
	if old != nil {
		stored, ok = old.data.(credential)
	}
	switch {
	case !ok:
		r.add(v.at, v.path, nothingStored, "give the value")
	case !r.same:
		r.add(v.at, v.path, moved, "give the value again")
	default:
		v.data = stored
	}
}

// address puts the stored URL in place of one as it was shown. Not beside masks: with those, all of it would be shown.
func (r *restorer) address(v, old *value, masked bool) {
	text, _ := v.data.(string)
	switch {
	case !strings.Contains(text, secret.Redacted):
	case masked:
		r.add(v.at, v.path, "is not shown in full, so that it cannot have masks", "give the whole URL, with the replacements in it")
	case old == nil:
		r.add(v.at, v.path, nothingStored, "give the whole URL")
	case !keepsAddress(v, old):
		r.add(v.at, v.path, moved, "give the whole URL, or leave it as it was shown")
	default:
		v.data = old.data
	}
}

// masks leaves it to secret.URL what may be kept.
func (r *restorer) masks(next, stored *value, field string) {
	mine := next.get(field)
	if r.within(mine.path) {
		return
	}
	if !r.same && r.keeps(mine) && stored.get(field) != nil {
		r.add(mine.at, mine.path, moved, "give the values again")
		return
	}
	merged, err := address(stored, field).Update(address(next, field))
	if e, ok := errors.AsType[*secret.ConfigError](err); ok {
		at := mine
		if n := 0; len(mine.items) > 0 {
			if _, err := fmt.Sscanf(e.Field, "mask %d", &n); err == nil && n <= len(mine.items) {
				at = mine.items[n-1]
			}
		}
		r.add(at.at, at.path, e.Reason, e.Remedy)
		return
	}
	for i, m := range mine.items {
		c := m.fields["value"].data.(credential)
		if c.value.IsKept() {
			m.fields["value"].data = storedCredential(stored.get(field), "replacement", m.text("replacement"), "value", merged.Masks[i].Value)
		}
	}
}

// address is the URL in an object with its masks.
func address(v *value, field string) secret.URL {
	if v == nil {
		return secret.URL{}
	}
	u := secret.URL{Masks: Settings{v}.Masks(field)}
	if i := slices.IndexFunc(v.table, func(f Field) bool { return f.Kind == Address }); i >= 0 {
		u.Text = v.text(v.table[i].Name)
	}
	return u
}

// headers leaves it to package webhook what may be kept, and that a sensitive header stays one.
func (r *restorer) headers(next, stored *value, field string) {
	mine := next.get(field)
	if r.within(mine.path) {
		return
	}
	merged, err := webhook.UpdateHeaders(Settings{stored}.headers(field), Settings{next}.headers(field), r.same)
	if e, ok := errors.AsType[*webhook.ConfigError](err); ok {
		at := mine.find(strings.TrimPrefix(ours(e.Field, nil), "headers"))
		r.add(at.at, at.path, e.Problem, e.Remedy)
		return
	}
	for i, h := range mine.items {
		if s := h.get("secret"); s != nil && s.data.(credential).value.IsKept() {
			s.data = storedCredential(stored.get(field), "name", merged[i].Name, "secret", merged[i].Secret)
		}
	}
}

// storedCredential finds how a stored value was written.
func storedCredential(list *value, key, name, field string, v secret.Value) credential {
	for _, item := range list.items {
		if c, ok := item.get(field), strings.EqualFold(item.text(key), name); ok && c != nil && c.data.(credential).value == v {
			return c.data.(credential)
		}
	}
	return credential{value: v}
}

// keeps tells whether there is a placeholder in v.
func (r *restorer) keeps(v *value) bool { return firstKept(v) != nil }

// unnamed refuses placeholders in a list, whose items have nothing to be recognised by.
func (r *restorer) unnamed(v *value) {
	if kept := firstKept(v); kept != nil {
		r.add(kept.at, kept.path, "cannot be kept, because items of this list have no names", "give the value again")
	}
}

func firstKept(v *value) *value {
	if c, ok := v.data.(credential); ok && c.value.IsKept() {
		return v
	}
	for _, item := range v.items {
		if kept := firstKept(item); kept != nil {
			return kept
		}
	}
	for _, f := range v.table {
		if inner := v.fields[f.Name]; inner != nil {
			if kept := firstKept(inner); kept != nil {
				return kept
			}
		}
	}
	return nil
}
