package manage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
)

// Handler returns the JSON API, whose paths begin with /v1: mount it below any prefix with http.StripPrefix. It is
// described by [OpenAPI], which it serves at /v1/openapi.json. It reports a mistake in o as a *channel.ConfigError.
//
// Errors are problem details (RFC 9457), all of a request at once. Nothing of one tenant is answered to another, whose
// requests for it are answered as if it did not exist. Responses are not cached.
func (s *Service) Handler(o HandlerOptions) (http.Handler, error) {
	if o.Access == nil {
		return nil, &channel.ConfigError{Package: "manage", Path: "Access", Code: channel.CodeMissing, Problem: "is nil", Remedy: "say who makes a request"}
	}
	h := &handler{service: s, access: o.Access, endpoints: endpoints()}
	for _, origin := range o.TrustedOrigins {
		if err := h.sameOrigin.AddTrustedOrigin(origin); err != nil {
			return nil, &channel.ConfigError{Package: "manage", Path: "TrustedOrigins", Code: channel.CodeInvalid, Problem: "has what is no origin", Remedy: "write it like https://admin.example"}
		}
	}
	return h, nil
}

type handler struct {
	service    *Service
	access     func(*http.Request) (Access, error)
	sameOrigin http.CrossOriginProtection
	endpoints  []endpoint
}

// endpoint is a row of the API.
type endpoint struct {
	method, path string // below /v1; {name} is a parameter
	role         Role   // one of these
	id           string // of the operation
	summary      string
	query        []parameter
	request      any    // the zero value of what the body is; nil = there is none
	match        string // "required" or "optional" = If-Match counts
	answers      []answer
	handle       func(*call) (*reply, error)
}

// parameter is one of a query.
type parameter struct {
	name, doc string
	schema    map[string]any
}

// answer is one that an endpoint gives, besides problems.
type answer struct {
	status int
	body   any // the zero value of it; nil = there is none
	doc    string
}

// call is a request to an endpoint.
type call struct {
	*handler

	endpoint *endpoint
	writer   http.ResponseWriter
	request  *http.Request
	access   Access
	by       By
	path     map[string]string // the parameters in it
}

func (c *call) ctx() context.Context { return c.request.Context() }

// reply is what an endpoint answers.
type reply struct {
	status    int
	body      any    // as JSON; nil = none
	text      []byte // in place of body
	mediaType string // of text
	etag      string
	location  string // relative to the request
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Vary", "Cookie, Authorization")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint,err113 // the sentinel itself
				panic(p) //nolint:forbidigo // how a handler ends a connection
			}
			h.writeProblem(w, r, fmt.Errorf("panic: %T", p)) // its text may be anything
		}
	}()
	out, err := h.serve(w, r)
	if err != nil {
		h.writeProblem(w, r, err)
		return
	}
	out.write(w)
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request) (*reply, error) {
	access, err := h.access(r)
	switch {
	case errors.Is(err, ErrUnauthenticated):
		return nil, newError(codeUnauthenticated, "", "say who you are")
	case errors.Is(err, ErrForbidden):
		return nil, newError(codeForbidden, "", "")
	case err != nil:
		return nil, fmt.Errorf("access: %w", err)
	case access.Tenant == dispatcher.AnyTenant && !access.Role.Has(Platform):
		return nil, errors.New("access: a tenant cannot be all of them")
	}
	if err := h.sameOrigin.Check(r); err != nil {
		return nil, newError(codeCrossOrigin, "the request comes from another site's page", "have the host trust its origin")
	}
	c := &call{handler: h, writer: w, request: r, access: access, by: By{Tenant: access.Tenant, Actor: access.Actor}}
	if err := c.find(); err != nil {
		return nil, err
	}
	if !access.Role.Has(c.endpoint.role) {
		return nil, newError(codeForbidden, "the right is missing: "+c.endpoint.role.String(), "")
	}
	if err := c.validateQuery(); err != nil {
		return nil, err
	}
	if tenant := r.URL.Query().Get("tenant"); len(tenant) > MaxTenant {
		return nil, parameterError("tenant", "is too long", fmt.Sprintf("use at most %d bytes", MaxTenant))
	} else if tenant != "" {
		c.by.Tenant = tenant
	}
	if c.by.Tenant == "" && c.endpoint.role != Platform {
		return nil, newError(codeForbidden, "the request is for no tenant", "name one")
	}
	return c.endpoint.handle(c)
}

// find finds the endpoint: of several that fit, the one with fewer parameters.
func (c *call) find() error {
	given, ok := strings.CutPrefix(c.request.URL.EscapedPath(), "/v1/")
	segments := strings.Split(given, "/")
	var methods []string
	for i := range c.endpoints {
		e := &c.endpoints[i]
		path, fits := matchPath(e.path, segments)
		if !ok || !fits {
			continue
		}
		methods = append(methods, e.method)
		if method := c.request.Method; e.method == method || e.method == http.MethodGet && method == http.MethodHead {
			if c.endpoint == nil || len(path) < len(c.path) {
				c.endpoint, c.path = e, path
			}
		}
	}
	switch {
	case c.endpoint != nil:
		return nil
	case methods != nil:
		slices.Sort(methods)
		c.writer.Header().Set("Allow", strings.Join(slices.Compact(methods), ", "))
		return newError(codeMethod, "", "")
	}
	return newError(CodeNotFound, "", "")
}

// matchPath reports whether a path has these segments, and what its parameters are.
func matchPath(pattern string, segments []string) (map[string]string, bool) {
	parts := strings.Split(strings.TrimPrefix(pattern, "/"), "/")
	if len(parts) != len(segments) {
		return nil, false
	}
	found := map[string]string{}
	for i, part := range parts {
		segment, err := url.PathUnescape(segments[i])
		switch {
		case err != nil:
			return nil, false
		case strings.HasPrefix(part, "{"):
			if segment == "" {
				return nil, false
			}
			found[strings.Trim(part, "{}")] = segment
		case part != segment:
			return nil, false
		}
	}
	return found, true
}

// validateQuery refuses parameters that the endpoint has not, which would be a filter without effect.
func (c *call) validateQuery() error {
	q, err := url.ParseQuery(c.request.URL.RawQuery)
	if err != nil {
		return parameterError("", "the query cannot be read", "escape it")
	}
	for _, name := range sortedKeys(q) {
		known := slices.ContainsFunc(c.endpoint.query, func(p parameter) bool { return p.name == name }) ||
			name == "tenant" && c.access.Role.Has(Platform)
		switch {
		case !known:
			return parameterError(clip(name), "is not a parameter here", "remove it")
		case len(q[name]) > 1:
			return parameterError(name, "is there twice", "remove one of them")
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// text returns a query parameter; "" = it is not there.
func (c *call) text(name string) string { return c.request.URL.Query().Get(name) }

// limit is the most that a page has.
func (c *call) limit() (int, error) {
	const def, most = 50, 200
	text := c.text("limit")
	if text == "" {
		return def, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, parameterError("limit", "is out of range", fmt.Sprintf("use 1 to %d", most))
	}
	return n, nil
}

// time returns a query parameter that is a time; zero = it is not there.
func (c *call) time(name string) (time.Time, error) {
	text := c.text(name)
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, parameterError(name, "is no time", "write it like 2026-01-31T18:00:00Z")
	}
	return at, nil
}

// etag is what If-Match says; "" = any.
func (c *call) etag() (string, error) {
	values := c.request.Header["If-Match"]
	if len(values) == 0 {
		if c.endpoint.match == "required" {
			return "", newError(codePrecondition, "If-Match is missing", "send the ETag of what was read")
		}
		return "", nil
	}
	text := strings.TrimSpace(strings.Join(values, ","))
	if text == "*" {
		return "", nil
	}
	tag, ok := strings.CutPrefix(text, `"`)
	tag, closed := strings.CutSuffix(tag, `"`)
	if !ok || !closed || tag == "" {
		tag = "?" // which nothing has: weak tags and lists never match
	}
	return tag, nil
}

// body reads the request's into a struct.
func (c *call) body(most int, into any) error {
	text, _, err := readBody(c.writer, c.request, most, "application/json")
	if err != nil {
		return err
	}
	members, err := parseObject(text)
	if err != nil {
		return err
	}
	return decodeInto(members, into)
}

// optionalBody is body for one that may be left out.
func (c *call) optionalBody(most int, into any) error {
	if c.request.ContentLength == 0 {
		return nil
	}
	return c.body(most, into)
}

func (r *reply) write(w http.ResponseWriter) {
	if r.etag != "" {
		w.Header().Set("ETag", `"`+r.etag+`"`)
	}
	if r.location != "" {
		w.Header().Set("Location", r.location)
	}
	switch {
	case r.text != nil:
		w.Header().Set("Content-Type", r.mediaType)
		w.WriteHeader(r.status)
		_, _ = w.Write(r.text)
	case r.body != nil:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(r.status)
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(r.body) // texts and numbers always can be
		_, _ = w.Write(b.Bytes())
	default:
		w.WriteHeader(r.status)
	}
}
