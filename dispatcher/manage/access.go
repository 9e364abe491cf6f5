package manage

import (
	"errors"
	"net/http"
	"strings"
)

// Role is what somebody may do: a set.
type Role uint8

// The roles. Editor, Operator and Platform include Viewer.
const (
	Viewer   Role = 1 << iota // look at channels, what was tried, what is dead
	Editor                    // change channels, and test them
	Operator                  // pause channels, deliver again and discard
	Platform                  // all tenants, by the parameter tenant
)

// Has reports whether r has one of the roles.
func (r Role) Has(one Role) bool {
	return r&one != 0 || one&Viewer != 0 && r&(Editor|Operator|Platform) != 0
}

// String lists the roles.
func (r Role) String() string {
	var all []string
	for i, name := range []string{"viewer", "editor", "operator", "platform"} {
		if r&(1<<i) != 0 {
			all = append(all, name)
		}
	}
	return strings.Join(all, ", ")
}

// Access is who makes a request, and what they may do. The host decides that.
type Access struct {
	Tenant string // whose channels they see; whatever a request says, but for Platform
	Actor  string // a person or program, for the record of changes
	Role   Role
	// Payloads lets them see what was sent, received and dispatched, whatever their Role: personal data, perhaps.
	Payloads bool
}

// Errors for HandlerOptions.Access to return; others are answered with 500.
var (
	ErrUnauthenticated = errors.New("manage: who makes the request is unknown")
	ErrForbidden       = errors.New("manage: not allowed")
)

// HandlerOptions configure a Handler.
type HandlerOptions struct {
	// Access says who makes a request. Required; called once for each request, before its body is read.
	Access func(*http.Request) (Access, error)
	// TrustedOrigins are origins such as https://admin.example whose pages may make changing requests beside the
	// handler's own, see http.CrossOriginProtection.
	TrustedOrigins []string
}
