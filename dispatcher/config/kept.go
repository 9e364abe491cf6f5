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
	nothingStored  = "has no stored value to keep"
	newDestination = "cannot keep its stored value, because the destination has changed"
)

// restore fills in the secrets of a channel from the stored one of the same name and type, which may be nil.
func (p *problems) restore(next, stored *value) {
	r := restorer{p, stored != nil && sameDestination(next, stored)}
	r.object(next, stored)
}

// sameDestination compares the fields that say where a channel sends: whole, and URLs in the form in which they
// are dialled.
func sameDestination(next, stored *value) bool {
	for f := range next.table().all() {
		a, b := next.get(f.Name), stored.get(f.Name)
		same := true
		switch {
		case f.Destination && f.Kind == Address && !f.List:
			same = sameAddress(a, b) && sameMasks(next, stored)
		case f.Destination && f.Kind == Variants && a.text(f.Tag) != b.text(f.Tag):
			same = false
		case f.Destination && f.Kind != Variants:
			same = equal(a, b)
		case a != nil && b != nil && f.isObject() && !f.isList():
			same = sameDestination(a, b)
		}
		if !same {
			return false
		}
	}
	return true
}

// sameAddress compares URLs, the stored one also as it was shown.
func sameAddress(next, stored *value) bool {
	if next == nil || stored == nil {
		return next == stored
	}
	return keepsAddress(next, stored) || netguard.SameDestination(next.data.(string), stored.data.(string))
}

// keepsAddress reports whether the address next is the stored one as it was shown.
func keepsAddress(next, stored *value) bool {
	return next != nil && stored != nil && next.data == shownAddress(stored.data.(string))
}

// sameMasks reports whether the masks of a URL make the same of it as the stored ones. A value that is given again
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
func maskNamed(masks list, replacement string) *value {
	i := slices.IndexFunc(masks, func(m *value) bool { return m.text("replacement") == replacement })
	if i < 0 {
		return nil
	}
	return masks[i]
}

// equal compares values. A secret that is given again counts as another one even if it is equal.
func equal(a, b *value) bool {
	return sameValue(a, b, func(a, b credential) bool { return a == b })
}

func (r *restorer) object(next, stored *value) {
	for _, v := range next.fields() {
		f, old := v.field, stored.get(v.name())
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
	if !dataOf[credential](v).value.IsKept() {
		return
	}
	stored := dataOf[credential](old)
	switch {
	case stored == (credential{}):
		r.report(v, channel.CodeStored, nothingStored, "give the value")
	case !r.same:
		r.report(v, channel.CodeStored, newDestination, "give the value again")
	default:
		v.data = stored
	}
}

// address puts the stored URL in place of one as it was shown. Not beside masks: with those, all of it would be shown.
func (r *restorer) address(v, old *value, masked bool) {
	switch {
	case !strings.Contains(dataOf[string](v), secret.Redacted):
	case masked:
		r.report(v, channel.CodeStored, "is not shown in full, so that it cannot have masks", "give the whole URL, with the replacements in it")
	case old == nil:
		r.report(v, channel.CodeStored, nothingStored, "give the whole URL")
	case !keepsAddress(v, old):
		r.report(v, channel.CodeStored, newDestination, "give the whole URL, or leave it as it was shown")
	default:
		v.data = old.data
	}
}

// masks keeps the values of masks by their replacements.
func (r *restorer) masks(next, stored *value, field string) {
	mine := next.get(field)
	if r.within(r.pathOf(mine)) {
		return
	}
	if !r.same && firstKept(mine) != nil && stored.get(field) != nil {
		r.report(mine, channel.CodeStored, newDestination, "give the values again")
		return
	}
	for _, m := range mine.items() {
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
	r.validateMasks(next, mine)
}

// validateMasks reports what package secret says about masks.
func (r *restorer) validateMasks(settings, masks *value) {
	u, paths := secret.URL{Masks: Settings{v: settings}.Masks(masks.field.Name)}, map[string]string{"Masks": masks.field.Name}
	for f := range settings.table().all() {
		if f.Kind == Address && !f.List {
			paths["Text"], u.Text = f.Name, settings.text(f.Name)
			break
		}
	}
	r.addAll(settings, u.Validate(), paths)
}

// headers leaves it to package webhook what may be kept, and that a sensitive header stays one.
func (r *restorer) headers(next, stored *value, field string) {
	mine := next.get(field)
	if r.within(r.pathOf(mine)) {
		return
	}
	before := Settings{v: stored}.headers(field)
	for i, h := range (Settings{v: next}).headers(field) { // one at a time, to find all mistakes
		merged, err := webhook.UpdateHeaders(before, []webhook.Header{h}, r.same)
		if err != nil {
			r.addAll(next, err, map[string]string{"Headers[0]": indexed(field, i)})
			continue
		}
		if s := mine.items()[i].get("secret"); s != nil && s.data.(credential).value.IsKept() {
			s.data = storedCredential(stored.get(field), merged[0])
		}
	}
}

// storedCredential finds how the value of a stored header was written.
func storedCredential(headers *value, h webhook.Header) credential {
	for _, item := range headers.items() {
		if c, ok := item.get("secret"), strings.EqualFold(item.text("name"), h.Name); ok && c != nil && c.data.(credential).value == h.Secret {
			return c.data.(credential)
		}
	}
	return credential{value: h.Secret}
}

// unnamed refuses placeholders in a list, whose items have nothing to be recognised by.
func (r *restorer) unnamed(v *value) {
	if kept := firstKept(v); kept != nil {
		r.report(kept, channel.CodeStored, "cannot be kept, because items of this list have no names", "give the value again")
	}
}

// firstKept finds a placeholder in v; nil = there is none.
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
	for _, inner := range v.inner() {
		if kept := firstKept(inner); kept != nil {
			return kept
		}
	}
	return nil
}
