package channel

import "strings"

// RouteID identifies a route: names are unique within a tenant. It is comparable, and the zero value identifies none.
type RouteID struct {
	Tenant string `json:"tenant"` // whose route it is: "" = of events without a tenant, an id, or AnyTenant
	Name   string `json:"name"`
}

// AnyTenant as a route's tenant says that it takes the events of the whole platform.
const AnyTenant = "*"

// String returns the identity as one text, which is also the name of the route's lane in a queue: no two identities
// have the same, and [ParseRouteID] is its inverse. A route without a tenant has its name, behind a "/" if there is one
// in it. Another one has its tenant, with "%25" for "%" and "%2F" for "/", then "/" and its name: "acme/audit",
// "*/siem".
func (r RouteID) String() string {
	if r.isPlain() {
		return r.Name
	}
	return string(r.appendTo(nil))
}

// appendTo appends what String returns.
func (r RouteID) appendTo(b []byte) []byte {
	if r.isPlain() {
		return append(b, r.Name...)
	}
	tenant := r.Tenant
	if strings.ContainsAny(tenant, "%/") {
		tenant = escapeTenant.Replace(tenant)
	}
	return append(append(append(b, tenant...), '/'), r.Name...)
}

func (r RouteID) isPlain() bool { return r.Tenant == "" && !strings.Contains(r.Name, "/") }

// ParseRouteID returns the identity whose String is s. Any other text is that of some route, too.
func ParseRouteID(s string) RouteID {
	tenant, name, found := strings.Cut(s, "/")
	if !found {
		return RouteID{Name: s}
	}
	return RouteID{Tenant: unescapeTenant.Replace(tenant), Name: name}
}

var (
	escapeTenant   = strings.NewReplacer("%", "%25", "/", "%2F") //nolint:gochecknoglobals // read-only table
	unescapeTenant = strings.NewReplacer("%25", "%", "%2F", "/") //nolint:gochecknoglobals // read-only table
)
