package storage

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
)

// incoming is what a client uploads: its bytes, still to be read, and what it says of them.
type incoming struct {
	body io.Reader
	// size is the number of bytes, or -1 when the client does not say.
	size int64
	// declared is the request's content length, which policies see; -1 for none.
	declared     int64
	mimeType     string
	cacheControl string
	robots       string
	// userMetadata is a JSON object, or nil.
	userMetadata []byte
}

// The bounds of a multipart form in front of its file.
const (
	maxFields = 10
	maxField  = 1 << 20
)

// formBuffer is how many bytes of a form are read from the connection at once.
const formBuffer = 64 << 10

// readUpload reads a request up to the first byte of the file.
func readUpload(r *http.Request) (*incoming, error) {
	in := &incoming{body: requestBody{r.Body}, size: r.ContentLength, declared: r.ContentLength, robots: r.Header.Get("X-Robots-Tag")}
	if in.robots != "" && !validRobots(in.robots) {
		return nil, fail(http.StatusBadRequest, "invalid_x_robots_tag", "InvalidRequest", "Invalid X-Robots-Tag header: "+in.robots)
	}
	contentType := r.Header.Get("Content-Type")
	if strings.HasPrefix(strings.ToLower(contentType), "multipart/form-data") {
		return in, in.readForm(contentType)
	}
	in.describe(contentType, r.Header.Get("Cache-Control"))
	in.userMetadata = headerMetadata(r.Header.Get("X-Metadata"))
	return in, nil
}

// describe takes what the client says of the bytes, or what is so where it says nothing.
func (in *incoming) describe(mimeType, cacheControl string) {
	if in.mimeType = mimeType; mimeType == "" {
		in.mimeType = "application/octet-stream"
	}
	if in.cacheControl = cacheControl; cacheControl == "" {
		in.cacheControl = "no-cache"
	}
}

// requestBody marks the faults of a request's body, which are the client's and not the store's.
type requestBody struct{ r io.Reader }

type bodyError struct{ cause error }

func (e *bodyError) Error() string { return "storage: request body: " + e.cause.Error() }
func (e *bodyError) Unwrap() error { return e.cause }

func (b requestBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // a Reader's end is io.EOF itself
		err = &bodyError{err}
	}
	return n, err
}

// readForm reads a form's fields up to its first file, which becomes the body.
// Nothing is kept but the fields: the file streams.
func (in *incoming) readForm(contentType string) error {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		return errInvalidRequest("Multipart: Boundary not found")
	}
	// The parser reads 4 KiB at a time: in front of a socket that costs half the speed.
	form := multipart.NewReader(bufio.NewReaderSize(in.body, formBuffer), params["boundary"])
	values := map[string]string{}
	for range maxFields + 1 {
		part, err := form.NextRawPart()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return errInvalidRequest("No content provided")
			}
			return errBody(err)
		}
		if isFile(part) {
			in.body, in.size = requestBody{part}, -1
			return in.useFields(values, part.Header.Get("Content-Type"))
		}
		value, err := io.ReadAll(io.LimitReader(part, maxField+1))
		if err != nil {
			return errBody(err)
		}
		if len(value) > maxField {
			return errTooLarge("user_metadata")
		}
		values[part.FormName()] = string(value)
	}
	return errInvalidRequest("reach fields limit")
}

// isFile tells a file from a field, as browsers and Node's parsers do.
func isFile(part *multipart.Part) bool {
	_, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	_, named := params["filename"]
	return err == nil && named || part.Header.Get("Content-Type") == "application/octet-stream"
}

func (in *incoming) useFields(values map[string]string, fileType string) error {
	in.mimeType = fileType
	if in.mimeType == "" {
		in.mimeType = "application/octet-stream"
	}
	if override := values["contentType"]; override != "" {
		in.mimeType = override
	}
	in.cacheControl = "no-cache"
	if seconds := values["cacheControl"]; seconds != "" {
		in.cacheControl = "max-age=" + seconds
	}
	custom, found := values["metadata"]
	if !found {
		custom = values["userMetadata"]
	}
	in.userMetadata = jsonObject([]byte(custom))
	if !validHeader(in.mimeType) || !validHeader(in.cacheControl) {
		return errInvalidRequest("Invalid character in contentType or cacheControl")
	}
	return nil
}

// validHeader reports whether value may be given back as a response header.
func validHeader(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// headerMetadata reads user metadata as the header x-metadata has it: base64 of a JSON object. Faults count as none.
func headerMetadata(value string) []byte {
	value = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(value), "=")
	text, err := base64.RawStdEncoding.DecodeString(value)
	if err != nil {
		return nil
	}
	return jsonObject(text)
}

// jsonObject returns text when it is a JSON object, else nil.
func jsonObject(text []byte) []byte {
	var object map[string]json.RawMessage
	if json.Unmarshal(text, &object) != nil || object == nil {
		return nil
	}
	return text
}
