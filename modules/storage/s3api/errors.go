package s3api

import (
	"net/http"
	"strconv"

	"github.com/madbase/madbase/platform/apierr"
)

func itoa(n int) string { return strconv.Itoa(n) }

func fail(status int, code, message string) *apierr.Error { return apierr.New(status, code, message) }

func errURI(cause error) *apierr.Error {
	return fail(http.StatusBadRequest, "InvalidURI", "Couldn't parse the specified URI.").Because(cause)
}

func errXML(cause error) *apierr.Error {
	return fail(http.StatusBadRequest, "MalformedXML",
		"The XML you provided was not well-formed or did not validate against our published schema").Because(cause)
}

// ErrParameter tells of a parameter that is not what it should be.
func ErrParameter(name string) *apierr.Error {
	return fail(http.StatusBadRequest, "InvalidParameter", "Invalid Parameter "+name)
}

// ErrNotImplemented tells of what S3 has and this service has not.
func ErrNotImplemented() *apierr.Error {
	return fail(http.StatusNotImplemented, "NotImplemented", "A header or query you provided implies functionality that is not implemented")
}

// ErrMethod tells of a method that nothing on the target's level has.
func ErrMethod() *apierr.Error {
	return fail(http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource")
}

// ErrNoVersion tells of a version of an object; there is only the one called "null".
func ErrNoVersion() *apierr.Error {
	return fail(http.StatusNotFound, "NoSuchVersion", "The specified version does not exist")
}

func errRange() *apierr.Error {
	return fail(http.StatusBadRequest, "InvalidRange", "invalid range provided")
}
