package sigv4

import (
	"net/http"

	"github.com/madbase/madbase/platform/apierr"
)

func fail(status int, code, message string) *apierr.Error { return apierr.New(status, code, message) }

func errDenied(message string) *apierr.Error {
	return fail(http.StatusForbidden, "AccessDenied", message)
}

// errForm tells of a signature that cannot be read.
func errForm(message string) *apierr.Error {
	return fail(http.StatusBadRequest, "InvalidSignature", message)
}

func errRequest(message string) *apierr.Error {
	return fail(http.StatusBadRequest, "InvalidRequest", message)
}

func errExpired() *apierr.Error {
	return fail(http.StatusBadRequest, "ExpiredToken", "The provided token has expired.")
}

func errSkewed() *apierr.Error {
	return fail(http.StatusForbidden, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
}

func errUnsignedHeader(name string) *apierr.Error {
	return errDenied("There were headers present in the request which were not signed: " + name)
}

func errMismatch(s *Signature) *apierr.Error {
	if s.unhashed {
		return errRequest("Missing required header for this request: x-amz-content-sha256")
	}
	if s.SessionToken != "" {
		return fail(http.StatusForbidden, "SignatureDoesNotMatch",
			"The request signature we calculated does not match the signature you provided, Check your credentials. The session token should be a valid JWT token")
	}
	return errChunkMismatch()
}

func errChunkMismatch() *apierr.Error {
	return fail(http.StatusForbidden, "SignatureDoesNotMatch",
		"The request signature we calculated does not match the signature you provided. Check your key and signing method.")
}

func errTooLarge(what, limit string) *apierr.Error {
	return fail(http.StatusRequestEntityTooLarge, "EntityTooLarge", "The "+what+" exceeded "+limit)
}

func errIncomplete(cause error) *apierr.Error {
	return fail(http.StatusBadRequest, "IncompleteBody",
		"You did not provide the number of bytes specified by the Content-Length HTTP header.").Because(cause)
}

func errPayloadHash() *apierr.Error {
	return fail(http.StatusBadRequest, "XAmzContentSHA256Mismatch",
		"The provided 'x-amz-content-sha256' header does not match what was computed.")
}

func errDigest(message string) *apierr.Error {
	return fail(http.StatusBadRequest, "BadDigest", message)
}

func errTrailer() *apierr.Error {
	return fail(http.StatusBadRequest, "MalformedTrailerError",
		"The request contained trailing data that was not well-formed or did not conform to our published schema.")
}
