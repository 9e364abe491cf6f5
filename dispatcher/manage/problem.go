package manage

import (
	"cmp"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/tocsin-go/tocsin/event"
)

// problem is the body of an error, RFC 9457.
type problem struct {
	Type   string         `json:"type" doc:"urn:tocsin:problem: and a code, which programs go by."`
	Title  string         `json:"title" doc:"What kind of problem it is."`
	Status int            `json:"status" doc:"The HTTP status."`
	Detail string         `json:"detail,omitempty" doc:"What is wrong."`
	Remedy string         `json:"remedy,omitempty" doc:"What to do about it."`
	ID     string         `json:"id,omitempty" doc:"Names an internal error in the server's log."`
	Errors []problemField `json:"errors,omitempty" doc:"Everything that is wrong with the request, at once."`
}

type problemField struct {
	Pointer   string `json:"pointer,omitempty" doc:"JSON pointer into the posted body, such as #/webhook_url; # is all of it."`
	Parameter string `json:"parameter,omitempty" doc:"Name of the query parameter or header, if it is not about the body."`
	Code      string `json:"code" doc:"What kind of mistake it is."`
	Detail    string `json:"detail" doc:"What is wrong, in words that follow the field's name."`
	Remedy    string `json:"remedy,omitempty" doc:"What to do about it."`
	Line      int    `json:"line,omitempty" doc:"Line of the document or template, from 1."`
	Column    int    `json:"column,omitempty" doc:"Column there, in characters, from 1."`
}

// Codes that only requests have.
const (
	codeUnauthenticated Code = "unauthenticated"
	codeForbidden       Code = "forbidden"
	codeNotJSON         Code = "not_json"
	codeMediaType       Code = "media_type"
	codeMethod          Code = "method"
	codePrecondition    Code = "precondition_required"
	codeCrossOrigin     Code = "cross_origin"
	codeInternal        Code = "internal"
)

// problemKinds are the statuses and titles of codes.
var problemKinds = map[Code]struct { //nolint:gochecknoglobals // read-only table
	status int
	title  string
}{
	codeNotJSON:         {http.StatusBadRequest, "The body is not JSON"},
	codeUnauthenticated: {http.StatusUnauthorized, "Who makes the request is unknown"},
	codeForbidden:       {http.StatusForbidden, "Not allowed"},
	codeCrossOrigin:     {http.StatusForbidden, "The request comes from another site"},
	CodeNotFound:        {http.StatusNotFound, "Not found"},
	codeMethod:          {http.StatusMethodNotAllowed, "The method is not allowed here"},
	CodeExists:          {http.StatusConflict, "The name is taken"},
	CodeState:           {http.StatusConflict, "Not in this state"},
	CodeUnsupported:     {http.StatusConflict, "It cannot do that"},
	CodeUnreadable:      {http.StatusConflict, "The stored configuration cannot be read"},
	CodeStale:           {http.StatusPreconditionFailed, "It was changed meanwhile"},
	CodeTooLarge:        {http.StatusRequestEntityTooLarge, "Too large"},
	codeMediaType:       {http.StatusUnsupportedMediaType, "The media type is not supported"},
	CodeFields:          {http.StatusUnprocessableEntity, "The request has mistakes"},
	codePrecondition:    {http.StatusPreconditionRequired, "If-Match is required"},
	CodeRate:            {http.StatusTooManyRequests, "Too many requests"},
	CodeUnavailable:     {http.StatusServiceUnavailable, "Not available at the moment"},
	CodeShutDown:        {http.StatusServiceUnavailable, "Not available at the moment"},
	codeInternal:        {http.StatusInternalServerError, "Internal error"},
}

// parameterError is a mistake in a query parameter or a header.
func parameterError(name, detail, remedy string) *Error {
	return &Error{Code: CodeFields, parameter: name, Fields: []FieldError{{Code: "invalid", Detail: detail, Remedy: remedy}}}
}

// writeProblem answers with an error. What is not an *Error is logged under an id, which alone is shown.
func (h *handler) writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{Code: codeInternal, Err: err}
	}
	kind, known := problemKinds[e.Code]
	if !known {
		kind = problemKinds[codeInternal]
	}
	p := problem{Type: "urn:tocsin:problem:" + string(e.Code), Title: kind.title, Status: kind.status, Detail: e.Detail, Remedy: e.Remedy}
	for _, f := range e.Fields {
		field := problemField{Code: string(f.Code), Detail: f.Detail, Remedy: f.Remedy, Line: f.Line, Column: f.Column, Parameter: e.parameter}
		if e.parameter == "" {
			field.Pointer = "#" + f.Pointer
		}
		p.Errors = append(p.Errors, field)
	}
	if kind.status >= http.StatusInternalServerError {
		level := slog.LevelWarn
		if kind.status == http.StatusInternalServerError {
			p.ID, p.Detail, p.Remedy, level = newErrorID(), "", "", slog.LevelError
		}
		h.service.options.Logger.Log(r.Context(), level, "tocsin: a request failed", "id", p.ID, "code", string(e.Code), "error", errorText(e))
	}
	if e.RetryAfter > 0 || kind.status == http.StatusServiceUnavailable {
		seconds := math.Ceil(cmp.Or(e.RetryAfter, 5*time.Second).Seconds())
		w.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(kind.status)
	text, _ := json.Marshal(p) // texts and numbers always can be
	_, _ = w.Write(append(text, '\n'))
}

func errorText(e *Error) string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return e.Error()
}

// newErrorID makes an id of the form that events have.
func newErrorID() string {
	e, err := event.SampleForTest(event.TypeRequestPending, event.Meta{})
	if err != nil {
		return ""
	}
	return e.ID()
}
