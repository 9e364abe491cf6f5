package netguard

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
)

// Limits is what a configured HTTP destination may look like. The zero Limits is the library's default: HTTPS only, any
// port, methods POST, PUT, PATCH and DELETE, at most 25 headers.
type Limits struct {
	AllowInsecureHTTP bool     // also http://
	NoExplicitPort    bool     // the URL must not name a port, not even 443
	Ports             []int    // allowed ports; empty = any
	Methods           []string // allowed methods, of GET, POST, PUT, PATCH and DELETE; empty = all of these but GET
	MaxHeaders        int      // custom headers; 0 = 25
}

// Validate reports what is wrong with the limits themselves. The error joins a *channel.ConfigError for every problem.
func (l Limits) Validate() error {
	var errs []error
	for i, port := range l.Ports {
		if port < 1 || port > 65535 {
			errs = append(errs, configError(channel.CodeRange, fmt.Sprintf("Ports[%d]", i), "is not a port", "use 1 to 65535"))
		}
	}
	for i, m := range l.Methods {
		if !slices.Contains([]string{"GET", "POST", "PUT", "PATCH", "DELETE"}, m) {
			errs = append(errs, configError(channel.CodeUnknown, fmt.Sprintf("Methods[%d]", i),
				"is not a method that can be allowed", "use GET, POST, PUT, PATCH or DELETE in upper case"))
		}
	}
	if l.MaxHeaders < 0 {
		errs = append(errs, configError(channel.CodeRange, "MaxHeaders", "is negative", "use 0 for the default of 25"))
	}
	return errors.Join(errs...)
}

// ValidateMethod refuses a method that is not among the allowed ones, which are upper case; the error is a
// *channel.ConfigError.
func (l Limits) ValidateMethod(field, method string) error {
	if !l.allowsMethod(method) {
		return fieldError(field, channel.CodeForbidden, "is not an allowed method", "use "+strings.Join(l.methods(), ", "))
	}
	return nil
}

// ValidatePort refuses a port that is not one, or not among the allowed ones; the error is a *channel.ConfigError.
func (l Limits) ValidatePort(field string, port int) error {
	if port < 1 || port > 65535 {
		return fieldError(field, channel.CodeRange, "is not a port", "use 1 to 65535")
	}
	if !l.allowsPort(port) {
		return fieldError(field, channel.CodeForbidden, "is not an allowed port", "use one of "+joinInts(l.Ports))
	}
	return nil
}

// ValidateHeaderCount refuses more custom headers than allowed; the error is a *channel.ConfigError.
func (l Limits) ValidateHeaderCount(field string, n int) error {
	limit := l.MaxHeaders
	if limit == 0 {
		limit = 25
	}
	if n > limit {
		return fieldError(field, channel.CodeRange, fmt.Sprintf("has %d headers", n), fmt.Sprintf("use at most %d", limit))
	}
	return nil
}

func (l Limits) methods() []string {
	if len(l.Methods) == 0 {
		return []string{"POST", "PUT", "PATCH", "DELETE"}
	}
	return l.Methods
}

func (l Limits) allowsMethod(method string) bool { return slices.Contains(l.methods(), method) }

func (l Limits) allowsPort(port int) bool {
	return len(l.Ports) == 0 || slices.Contains(l.Ports, port)
}

func (l Limits) allowsScheme(scheme string) bool {
	return scheme == "https" || scheme == "http" && l.AllowInsecureHTTP
}

func joinInts(list []int) string {
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = strconv.Itoa(n)
	}
	return strings.Join(texts, ", ")
}

const pkg = "netguard" // in configuration errors

func configError(code channel.ConfigCode, path, problem, remedy string) *channel.ConfigError {
	return &channel.ConfigError{Package: pkg, Path: path, Code: code, Problem: problem, Remedy: remedy}
}

// fieldError is about a field of the caller's, who may add the package.
func fieldError(field string, code channel.ConfigCode, problem, remedy string) *channel.ConfigError {
	return &channel.ConfigError{Path: field, Code: code, Problem: problem, Remedy: remedy}
}
