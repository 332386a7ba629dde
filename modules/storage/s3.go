package storage

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/storage/s3api"
	"github.com/madbase/madbase/modules/storage/sigv4"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/rls"
)

// The S3 protocol does what REST does, under the same policies, limits and order of
// writes. What differs is how requests are signed, said and answered, and that
// uploads overwrite: they need the rights to insert, see and update.

// s3Call is one request of the protocol.
type s3Call struct {
	*call
	query url.Values
	// body is the request's, as it was before it was framed for signing. Who has read
	// it to its end knows that it is what was signed.
	body *sigv4.Payload
}

// s3Route is an operation: the method, the level and the sub-resource that ask for
// it, its name, by which policies know it, and what it does.
type s3Route struct {
	method      string
	level       s3api.Level
	subresource string
	operation   string
	run         func(*Module, *s3Call) error
	// streams is set for what reads the body itself.
	streams bool
}

// s3Routes are all operations. What is not here is refused: a request that asks for
// a sub-resource must never do something to the resource.
var s3Routes = [...]s3Route{
	{"GET", s3api.Service, "", "storage.s3.bucket.list", (*Module).s3ListBuckets, false},

	{"HEAD", s3api.Bucket, "", "storage.s3.bucket.head", (*Module).s3HeadBucket, false},
	{"PUT", s3api.Bucket, "", "storage.s3.bucket.create", (*Module).s3CreateBucket, false},
	{"DELETE", s3api.Bucket, "", "storage.s3.bucket.delete", (*Module).s3DeleteBucket, false},
	{"GET", s3api.Bucket, "location", "storage.s3.bucket.get_location", (*Module).s3GetLocation, false},
	{"GET", s3api.Bucket, "versioning", "storage.s3.bucket.get_versioning", (*Module).s3GetVersioning, false},
	{"GET", s3api.Bucket, "", "storage.s3.object.list", (*Module).s3ListObjects, false},
	{"GET", s3api.Bucket, "versions", "storage.s3.object.list", (*Module).s3ListVersions, false},
	{"GET", s3api.Bucket, "uploads", "storage.s3.upload.list_multipart", (*Module).s3ListUploads, false},
	{"POST", s3api.Bucket, "delete", "storage.s3.object.delete_many", (*Module).s3DeleteObjects, true},

	{"GET", s3api.Object, "", "storage.s3.object.get", (*Module).s3GetObject, false},
	{"HEAD", s3api.Object, "", "storage.s3.object.info", (*Module).s3HeadObject, false},
	{"PUT", s3api.Object, "", "storage.s3.upload", (*Module).s3PutObject, true},
	{"DELETE", s3api.Object, "", "storage.s3.object.delete", (*Module).s3DeleteObject, false},
	{"GET", s3api.Object, "tagging", "storage.s3.object.get_tagging", (*Module).s3GetTagging, false},

	{"POST", s3api.Object, "uploads", "storage.s3.upload.create_multipart", (*Module).s3CreateUpload, false},
	{"PUT", s3api.Object, "partNumber&uploadId", "storage.s3.upload.part", (*Module).s3UploadPart, true},
	{"GET", s3api.Object, "uploadId", "storage.s3.upload.list_parts", (*Module).s3ListParts, false},
	{"POST", s3api.Object, "uploadId", "storage.s3.upload.complete_multipart", (*Module).s3CompleteUpload, true},
	{"DELETE", s3api.Object, "uploadId", "storage.s3.upload.abort_multipart", (*Module).s3AbortUpload, false},
}

// s3Copies are the operations that a request with the header x-amz-copy-source asks for.
var s3Copies = [...]s3Route{
	{"PUT", s3api.Object, "", "storage.s3.object.copy", (*Module).s3CopyObject, false},
	{"PUT", s3api.Object, "partNumber&uploadId", "storage.s3.upload.part_copy", (*Module).s3CopyPart, false},
}

// findS3 returns the operation that a request asks for.
func findS3(r *http.Request, level s3api.Level, query url.Values) (s3Route, error) {
	subresource := s3api.Subresource(r.Method, query)
	copies, known := r.Header.Get("X-Amz-Copy-Source") != "", false
	routes := s3Routes[:]
	if copies {
		routes = s3Copies[:]
	}
	for _, route := range routes {
		if route.method != r.Method || route.level != level {
			continue
		}
		if known = true; route.subresource == subresource {
			return route, nil
		}
	}
	if known || copies || subresource != "" {
		return s3Route{}, s3api.ErrNotImplemented()
	}
	return s3Route{}, s3api.ErrMethod()
}

// s3 answers all requests of the protocol.
func (m *Module) s3(c echo.Context) error {
	c.Response().Header().Set("X-Amz-Request-Id", httpx.RequestID(c.Request().Context()))
	err := translate(m.serveS3(c))
	if err == nil || c.Response().Committed {
		return err
	}
	r := c.Request()
	e := s3Error(r, err)
	resource := strings.TrimPrefix(r.URL.Path, m.prefix+s3Path)
	writing := httpx.Refuse(c.Response(), r, func() error {
		return s3api.WriteError(c.Response(), r, e, resource, httpx.RequestID(r.Context()))
	})
	if writing != nil || e.Status == http.StatusNotImplemented { // clients ask for that as a matter of course
		return writing
	}
	return e // is answered, and only logged
}

// s3Error gives err a face of this protocol: the status is the real one.
func s3Error(r *http.Request, err error) *apierr.Error {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return errAborted().Because(err)
	}
	e := apierr.From(err)
	if e.Status == http.StatusInternalServerError {
		return apierr.New(e.Status, "InternalError", "Internal Server Error").Because(err)
	}
	return e
}

func (m *Module) serveS3(c echo.Context) error {
	r := c.Request()
	target, err := s3api.ParseTarget(strings.TrimPrefix(r.URL.EscapedPath(), m.prefix+s3Path))
	if err != nil {
		return err
	}
	if isForm(r, target.Level()) {
		return m.s3Post(c, target)
	}
	caller, payload, err := m.s3Authenticate(c)
	if err != nil {
		return err
	}
	query, err := s3api.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	s3api.TakeHeaders(r.Header, query)
	if err := refuseHeaders(r.Header); err != nil {
		return err
	}
	route, err := findS3(r, target.Level(), query)
	if err != nil {
		return err
	}
	if !route.streams {
		if err := readAway(payload); err != nil {
			return err
		}
	}
	return m.asCaller(c, caller, route.operation, func(rq *call) error {
		rq.bucket, rq.key = target.Bucket, target.Key
		return route.run(m, &s3Call{call: rq, query: query, body: payload})
	})
}

// asCaller calls h with the request of caller, whom the protocol itself has verified.
func (m *Module) asCaller(c echo.Context, caller *claims.Caller, operation string, h handler) error {
	c.SetRequest(c.Request().WithContext(claims.NewContext(c.Request().Context(), caller)))
	return rls.Middleware(rls.Options{})(func(c echo.Context) error {
		rq, err := m.newCall(c, operation)
		if err != nil {
			return err
		}
		return h(rq)
	})(c)
}

// refuseHeaders refuses what would otherwise be done by half: an object that was to
// be encrypted with the client's key would be stored in the clear, one that was to
// grow overwritten, and one that was to stay could be deleted.
func refuseHeaders(h http.Header) error {
	for _, name := range [...]string{
		"X-Amz-Server-Side-Encryption-Customer-Algorithm", "X-Amz-Write-Offset-Bytes", "X-Amz-Object-Lock-Mode", "X-Amz-Bucket-Object-Lock-Enabled",
	} {
		if value := h.Get(name); value != "" && !strings.EqualFold(value, "false") {
			return s3api.ErrNotImplemented()
		}
	}
	return nil
}

// readAway reads a body that says nothing more, which is signed nonetheless.
func readAway(body io.Reader) error {
	n, err := io.Copy(io.Discard, io.LimitReader(body, maxBody+1))
	if err == nil && n > maxBody {
		err = errTooLarge("body")
	}
	return err
}

// answer writes a document with the status 200.
func (rq *s3Call) answer(document any) error {
	return s3api.Write(rq.Response(), http.StatusOK, document)
}

// checkVersion refuses versions of objects: there is only the one called "null".
func (rq *s3Call) checkVersion() error {
	if version := rq.query.Get("versionId"); version != "" && version != s3api.NullVersion {
		return s3api.ErrNoVersion()
	}
	return nil
}
