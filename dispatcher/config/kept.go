package config

import (
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
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

// sameDestination compares the fields that say where a channel sends: whole, and URLs in the form in which they
// are dialled.
func sameDestination(next, stored *value, table []Field) bool {
	return !slices.ContainsFunc(table, func(f Field) bool {
		a, b := next.get(f.Name), stored.get(f.Name)
		switch {
		case f.Destination && f.Kind == Address && !f.List:
			return !sameAddress(a, b) || !sameMasks(next, stored)
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

// sameAddress compares URLs, the stored one also as it was shown.
func sameAddress(next, stored *value) bool {
	if next == nil || stored == nil {
		return next == stored
	}
	return keepsAddress(next, stored) || netguard.SameDestination(next.data.(string), stored.data.(string))
}

// keepsAddress tells whether the address next is the stored one as it was shown.
func keepsAddress(next, stored *value) bool {
	return next != nil && stored != nil && next.data == shownAddress(stored.data.(string))
}

// sameMasks tells whether the masks of a URL make the same of it as the stored ones. A value that is given again
// counts as another one even if it is equal, or whoever may edit but not read could try out what it is.
func sameMasks(next, stored *value) bool {
	mine, before := next.masked(), stored.masked()
	return len(mine) == len(before) && !slices.ContainsFunc(mine, func(m *value) bool {
		old := maskNamed(before, m.text("replacement"))
		if old == nil || m.get("value") == nil || old.get("value") == nil {
			return true
		}
		c, before := m.get("value").data.(credential), old.get("value").data.(credential)
		return !c.value.IsKept() && (c.reference == "" || c.reference != before.reference)
	})
}

// maskNamed finds a mask by its replacement.
func maskNamed(masks []*value, replacement string) *value {
	i := slices.IndexFunc(masks, func(m *value) bool { return m.text("replacement") == replacement })
	if i < 0 {
		return nil
	}
	return masks[i]
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
		r.report(v, channel.CodeStored, nothingStored, "give the value")
	case !r.same:
		r.report(v, channel.CodeStored, moved, "give the value again")
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
		r.report(v, channel.CodeStored, "is not shown in full, so that it cannot have masks", "give the whole URL, with the replacements in it")
	case old == nil:
		r.report(v, channel.CodeStored, nothingStored, "give the whole URL")
	case !keepsAddress(v, old):
		r.report(v, channel.CodeStored, moved, "give the whole URL, or leave it as it was shown")
	default:
		v.data = old.data
	}
}

// masks keeps the values of masks by their replacements.
func (r *restorer) masks(next, stored *value, field string) {
	mine := next.get(field)
	if r.within(mine.path) {
		return
	}
	if !r.same && r.keeps(mine) && stored.get(field) != nil {
		r.report(mine, channel.CodeStored, moved, "give the values again")
		return
	}
	for _, m := range mine.items {
		v := m.get("value")
		if !v.data.(credential).value.IsKept() {
			continue
		}
		old := maskNamed(stored.masked(), m.text("replacement"))
		if old == nil {
			r.report(m, channel.CodeStored, nothingStored, "give the value")
			return
		}
		v.data = old.get("value").data
	}
	r.checkMasks(next, mine)
}

// checkMasks reports what package secret says about masks.
func (r *restorer) checkMasks(settings, masks *value) {
	u, paths := secret.URL{Masks: Settings{settings}.Masks(masks.field.Name)}, map[string]string{"Masks": masks.field.Name}
	if i := slices.IndexFunc(settings.table, func(f Field) bool { return f.Kind == Address }); i >= 0 {
		paths["Text"] = settings.table[i].Name
		u.Text = settings.text(paths["Text"])
	}
	r.made(settings, u.Validate(), paths)
}

// headers leaves it to package webhook what may be kept, and that a sensitive header stays one.
func (r *restorer) headers(next, stored *value, field string) {
	mine := next.get(field)
	if r.within(mine.path) {
		return
	}
	before := Settings{stored}.headers(field)
	for i, h := range (Settings{next}).headers(field) { // one at a time, to find all mistakes
		merged, err := webhook.UpdateHeaders(before, []webhook.Header{h}, r.same)
		if err != nil {
			r.made(next, err, map[string]string{"Headers[0]": indexed(field, i)})
			continue
		}
		if s := mine.items[i].get("secret"); s != nil && s.data.(credential).value.IsKept() {
			s.data = storedCredential(stored.get(field), "name", merged[0].Name, "secret", merged[0].Secret)
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
		r.report(kept, channel.CodeStored, "cannot be kept, because items of this list have no names", "give the value again")
	}
}

func firstKept(v *value) *value {
	switch data := v.data.(type) {
	case credential:
		if data.value.IsKept() {
			return v
		}
	case string:
		if v.field.Kind == Address && strings.Contains(data, secret.Redacted) {
			return v
		}
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
