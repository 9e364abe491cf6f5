package channel_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/event"
)

func TestRouteIDAsText(t *testing.T) {
	t.Parallel()
	for text, id := range map[string]channel.RouteID{
		"":             {},
		"audit":        {Name: "audit"},
		"50%":          {Name: "50%"},
		"/a/b":         {Name: "a/b"},
		"acme/audit":   {Tenant: "acme", Name: "audit"},
		"acme/a/b":     {Tenant: "acme", Name: "a/b"},
		"acme/":        {Tenant: "acme"},
		"*/siem":       {Tenant: channel.AnyTenant, Name: "siem"},
		"a%2Fb/c":      {Tenant: "a/b", Name: "c"},
		"a%252Fb/c%2F": {Tenant: "a%2Fb", Name: "c%2F"},
		"%2F/":         {Tenant: "/"},
	} {
		assert.Equal(t, text, id.String())
		assert.Equal(t, id, channel.ParseRouteID(text))
	}
	assert.Equal(t, channel.RouteID{Tenant: "a%zz%", Name: "b"}, channel.ParseRouteID("a%zz%/b"), "what nobody wrote is read, too")
}

// The delivery ids of routes without a tenant stay what they were when a route was a name.
func TestDeliveryIDOfARouteWithoutTenant(t *testing.T) {
	t.Parallel()
	e := event.Must(event.GrantRevoked{}, event.Meta{ID: "e-1", Tenant: "acme"})
	ids := map[string]channel.RouteID{}
	for _, r := range []channel.RouteID{
		{Name: "siem"}, {Tenant: "acme", Name: "siem"}, {Tenant: "globex", Name: "siem"}, {Tenant: channel.AnyTenant, Name: "siem"},
	} {
		ids[channel.Delivery{Event: e, Route: r}.ID()] = r
	}
	assert.Len(t, ids, 4)
	assert.Equal(t, channel.RouteID{Name: "siem"}, ids["e-1_5eabe06ffe1942a3"])
	long := channel.Delivery{Event: e, Route: channel.RouteID{Tenant: strings.Repeat("/", 255), Name: "siem"}}
	assert.Len(t, long.ID(), len("e-1_")+16)
}

// FuzzRouteID checks that ParseRouteID is String's inverse, and with that, that no two identities have one text.
func FuzzRouteID(f *testing.F) {
	for _, s := range []string{"", "a", "/", "%", "%2F", "%25", "*", "a/b", "\xff", "%252F"} {
		f.Add(s, s)
		f.Add("", s)
		f.Add(s, "")
	}
	f.Fuzz(func(t *testing.T, tenant, name string) {
		id := channel.RouteID{Tenant: tenant, Name: name}
		if back := channel.ParseRouteID(id.String()); back != id {
			t.Fatalf("%q is read back as %q", id, back)
		}
		if tenant == "" && !strings.Contains(name, "/") && id.String() != name {
			t.Fatalf("%q is not its name", id)
		}
		text := channel.ParseRouteID(name).String()
		if channel.ParseRouteID(text) != channel.ParseRouteID(name) {
			t.Fatalf("%q", name)
		}
	})
}
