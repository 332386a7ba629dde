// Package apierr is the one error type that handlers return: a public face that
// may be shown to the caller and a private cause that is only logged.
package apierr

import (
	"errors"
	"fmt"
	"net/http"
)

// Error is an error with a public face. How it is written is decided by the
// Shape of the surface it left: each Supabase service has its own dialect.
type Error struct {
	// Status is the HTTP status.
	Status int
	// Code is the surface's machine-readable code (PGRST116, user_not_found, ...).
	Code string
	// Message is for the caller; it never carries SQL of madbase's own, paths or secrets.
	Message string
	// Detail adds to the message: a string, or a list where a dialect has one. Nil when there is none.
	Detail any
	// Hint says what to try; empty when there is none.
	Hint string
	// Fields are further members of the body in dialects that have them.
	Fields map[string]any
	// Header is added to the response.
	Header http.Header

	cause error
}

// New returns an Error with a status, a code and a message.
func New(status int, code, message string) *Error {
	return &Error{Status: status, Code: code, Message: message}
}

// Newf is New with a formatted message.
func Newf(status int, code, format string, args ...any) *Error {
	return New(status, code, fmt.Sprintf(format, args...))
}

// Error joins the public message with the private cause, for logs.
func (e *Error) Error() string {
	if e.cause == nil {
		return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message)
	}
	return fmt.Sprintf("%d %s: %s: %v", e.Status, e.Code, e.Message, e.cause)
}

// Unwrap returns the private cause.
func (e *Error) Unwrap() error { return e.cause }

// Because sets the private cause, which is logged and never shown.
func (e *Error) Because(cause error) *Error {
	e.cause = cause
	return e
}

// WithDetail sets the detail.
func (e *Error) WithDetail(detail any) *Error {
	e.Detail = detail
	return e
}

// WithHint sets the hint.
func (e *Error) WithHint(hint string) *Error {
	e.Hint = hint
	return e
}

// WithField adds a member to the body, in dialects that have further members.
func (e *Error) WithField(name string, value any) *Error {
	if e.Fields == nil {
		e.Fields = map[string]any{}
	}
	e.Fields[name] = value
	return e
}

// WithHeader adds a response header.
func (e *Error) WithHeader(name, value string) *Error {
	if e.Header == nil {
		e.Header = http.Header{}
	}
	e.Header.Add(name, value)
	return e
}

// From returns err's Error, or an internal one that hides err as its cause.
func From(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return Internal(err)
}

// Internal is a 500 that tells the caller nothing of its cause.
func Internal(cause error) *Error {
	return New(http.StatusInternalServerError, "internal_error", "Internal server error").Because(cause)
}

// A Shape turns an Error into a response body and its status for one surface.
// It may add headers to h. The body is written as JSON.
type Shape func(r *http.Request, e *Error, h http.Header) (status int, body any)

// Platform is the shape of madbase's own surfaces:
// {"error":"...","code":400,"detail":"..."}, the detail left out when empty.
func Platform(_ *http.Request, e *Error, _ http.Header) (int, any) {
	return e.Status, struct {
		Error  string `json:"error"`
		Code   int    `json:"code"`
		Detail any    `json:"detail,omitempty"`
	}{e.Message, e.Status, e.Detail}
}
