package storage

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/rls"
)

// The body's statusCode carries the real status; the HTTP status is 400 for
// nearly all of them, which clients have come to rely on. label and httpStatus
// are the fields in which an apierr.Error carries what differs.
const (
	label      = "error"
	httpStatus = "http"
)

// Statuses that HTTP itself does not define.
const (
	statusAborted         = 499
	statusDatabaseTimeout = 544
)

// fail is an error of this surface; its label is the body's old member "error".
func fail(status int, name, code, message string) *apierr.Error {
	return apierr.New(status, code, message).WithField(label, name)
}

// real makes the HTTP status the real one.
func real(e *apierr.Error) *apierr.Error { return e.WithField(httpStatus, e.Status) }

func errInvalid(format string, args ...any) *apierr.Error {
	return fail(http.StatusBadRequest, "Error", "InvalidRequest", fmt.Sprintf(format, args...))
}

func errInvalidRequest(message string) *apierr.Error {
	return fail(http.StatusBadRequest, "InvalidRequest", "InvalidRequest", message)
}

func errDenied(message string) *apierr.Error {
	return fail(http.StatusForbidden, "Unauthorized", "AccessDenied", message)
}

func errNoBucket() *apierr.Error {
	return fail(http.StatusNotFound, "Bucket not found", "NoSuchBucket", "Bucket not found")
}

func errNoObject() *apierr.Error {
	return fail(http.StatusNotFound, "not_found", "NoSuchKey", "Object not found")
}

// errNoBytes tells that the row is there and its bytes are not.
func errNoBytes(cause error) *apierr.Error {
	return fail(http.StatusNotFound, "Not found", "NoSuchKey", "The resource was not found").
		WithHeader("Cache-Control", "no-store").Because(cause)
}

func errObjectExists() *apierr.Error {
	return fail(http.StatusConflict, "Duplicate", "KeyAlreadyExists", "The resource already exists")
}

func errBucketExists() *apierr.Error {
	return fail(http.StatusConflict, "Duplicate", "BucketAlreadyExists", "The resource already exists")
}

func errBucketNotEmpty() *apierr.Error {
	return fail(http.StatusConflict, "ResourceNotEmpty", "ResourceNotEmpty", "The bucket you tried to delete is not empty")
}

func errReferenced(text string) *apierr.Error {
	return fail(http.StatusConflict, "ResourceReferenced", "ResourceReferenced", text)
}

func errBucketName() *apierr.Error {
	return fail(http.StatusBadRequest, "Invalid Input", "InvalidBucketName", "Bucket name invalid")
}

func errKey(key string) *apierr.Error {
	return fail(http.StatusBadRequest, "InvalidKey", "InvalidKey", "Invalid key: "+key)
}

func errTooLarge(what string) *apierr.Error {
	return fail(http.StatusRequestEntityTooLarge, "Payload too large", "EntityTooLarge", "The "+what+" exceeded the maximum allowed size")
}

func errMIMEType(mime string) *apierr.Error {
	return fail(http.StatusUnsupportedMediaType, "invalid_mime_type", "InvalidMimeType", "mime type "+mime+" is not supported")
}

func errSignature(message string) *apierr.Error {
	return fail(http.StatusBadRequest, "InvalidSignature", "InvalidSignature", message)
}

func errRange(size int64) *apierr.Error {
	return real(fail(http.StatusRequestedRangeNotSatisfiable, "invalid_range", "InvalidRange", "invalid range provided")).
		WithHeader("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
}

func errLocked() *apierr.Error {
	return fail(http.StatusLocked, "ResourceLocked", "ResourceLocked", "The resource is locked")
}

// errPrecondition tells that a header If-Match or its like does not hold.
func errPrecondition() *apierr.Error {
	return fail(http.StatusPreconditionFailed, "PreconditionFailed", "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
}

// errImage is a fault of a transformation. Its label is its code.
func errImage(status int, message string) *apierr.Error {
	return fail(status, "InvalidRequest", "InvalidRequest", message)
}

// errAborted tells a client that went away.
func errAborted() *apierr.Error {
	return real(fail(statusAborted, "Request aborted", "Aborted", "Request aborted"))
}

// errBody tells that the request's body ended or broke before it was whole.
func errBody(cause error) *apierr.Error {
	return errInvalidRequest("Request stream closed before upload could complete").Because(cause)
}

// translate is the one place that gives errors of the database and the platform
// a face of this surface. An error that has one already passes.
func translate(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, rls.ErrBusy) {
		return real(fail(http.StatusTooManyRequests, "too_many_connections", "SlowDown", "Too many connections issued to the database")).Because(err)
	}
	if _, away := errors.AsType[*pgconn.ConnectError](err); away || errors.Is(err, rls.ErrUnavailable) {
		return real(fail(statusDatabaseTimeout, "DatabaseTimeout", "DatabaseTimeout", "The connection to the database timed out")).Because(err)
	}
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		if e.Code == "42501" { // a role that rls refuses
			return errDenied(e.Message).Because(err)
		}
		return err
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return databaseError(pg).Because(err)
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fail(http.StatusRequestEntityTooLarge, "Error", "InvalidRequest", "Request body is too large").Because(err)
	}
	if errors.Is(err, store.ErrNotFound) {
		return errNoObject().Because(err)
	}
	return err
}

// databaseError is the dialect's answer to each SQLSTATE that it knows.
func databaseError(pg *pgconn.PgError) *apierr.Error {
	const bad, gone, unavailable = http.StatusBadRequest, http.StatusNotFound, http.StatusServiceUnavailable
	switch pg.Code {
	case "42501":
		if strings.Contains(pg.Message, "row-level security") {
			return errDenied("new row violates row-level security policy")
		}
		return errDenied(pg.Message)
	case "23505":
		return fail(http.StatusConflict, "Duplicate", "ResourceAlreadyExists", "The resource already exists")
	case "23503":
		switch {
		case !strings.Contains(pg.Detail, "is still referenced from table"):
			return fail(gone, "InvalidRequest", "InvalidRequest", "The related resource does not exist")
		case pg.ConstraintName == "objects_bucketId_fkey":
			return errBucketNotEmpty()
		case pg.ConstraintName == "s3_multipart_uploads_bucket_id_fkey", pg.ConstraintName == "s3_multipart_uploads_parts_bucket_id_fkey":
			return errReferenced("The bucket could not be updated because it is referenced by a pending multipart upload.")
		}
		return errReferenced("The resource could not be updated or removed due to a foreign key constraint")
	case "55P03":
		return errLocked()
	case "57014":
		return real(fail(statusDatabaseTimeout, "DatabaseTimeout", "DatabaseTimeout", "The connection to the database timed out"))
	case "25006":
		return fail(unavailable, "DatabaseReadOnly", "DatabaseReadOnly", "The database is currently in read-only mode. Please try again later.")
	case "42P17":
		return fail(unavailable, "DatabaseInvalidObjectDefinition", "DatabaseInvalidObjectDefinition", "The database schema is invalid or incompatible.")
	case "42703", "42P01":
		return fail(unavailable, "DatabaseSchemaMismatch", "DatabaseSchemaMismatch", "The database schema is out of sync. Please run migrations or contact support.")
	case "22P02", "22007", "22008":
		return fail(bad, "InvalidParameter", "InvalidParameter", pg.Message)
	case "22021", "22P05": // characters that text or jsonb cannot hold
		return errInvalidRequest("Unsupported character in the request")
	case "P0001": // raised by a trigger of the project
		return fail(http.StatusInternalServerError, "DatabaseError", "DatabaseError", "database error, code: P0001")
	}
	return fail(http.StatusInternalServerError, "DatabaseError", "DatabaseError", "database error, code: "+pg.Code)
}

// errorBody is an error as the surface writes it.
type errorBody struct {
	StatusCode string `json:"statusCode"`
	Error      string `json:"error"`
	Message    string `json:"message"`
	Code       string `json:"code,omitempty"`
}

// shape writes e. Routes that do not exist come without a code.
func (m *Module) shape(r *http.Request, e *apierr.Error, _ http.Header) (int, any) {
	if e.Code == "" {
		return m.noRoute(r, e)
	}
	name, _ := e.Fields[label].(string)
	status := http.StatusBadRequest
	switch code, ok := e.Fields[httpStatus].(int); {
	case ok:
		status = code
	case name == "": // not one of this surface's own
		status, name = e.Status, "Internal"
	case e.Status == http.StatusInternalServerError:
		status = e.Status
	}
	return status, errorBody{strconv.Itoa(e.Status), name, e.Message, e.Code}
}

func (m *Module) noRoute(r *http.Request, e *apierr.Error) (int, any) {
	if e.Status != http.StatusNotFound && e.Status != http.StatusMethodNotAllowed {
		return e.Status, errorBody{strconv.Itoa(e.Status), e.Message, e.Message, ""}
	}
	path := strings.TrimPrefix(r.URL.RequestURI(), m.prefix)
	message := "Route " + r.Method + ":" + path + " not found"
	if strings.HasPrefix(path, "/object") || strings.HasPrefix(path, "/bucket") || strings.HasPrefix(path, "/render/image") || strings.HasPrefix(path, "/cdn") {
		return http.StatusNotFound, errorBody{"404", "Not Found", message, "InvalidRequest"}
	}
	return http.StatusNotFound, struct {
		Message    string `json:"message"`
		Error      string `json:"error"`
		StatusCode int    `json:"statusCode"`
	}{message, "Not Found", http.StatusNotFound}
}

// translated is a handler whose errors have this surface's face.
func translated(h echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error { return translate(h(c)) }
}
