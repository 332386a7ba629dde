package s3api

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/madbase/madbase/platform/apierr"
)

// Time is a point in time as S3's documents have it.
type Time struct{ time.Time }

// MarshalText writes 2026-01-02T03:04:05.678Z.
func (t Time) MarshalText() ([]byte, error) {
	return t.UTC().AppendFormat(nil, "2006-01-02T15:04:05.000Z"), nil
}

// Prefix is one entry of CommonPrefixes.
type Prefix struct{ Prefix string }

// BucketList is the answer to ListBuckets.
type BucketList struct {
	XMLName xml.Name                       `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
	Buckets struct{ Bucket []BucketEntry } // is there also without a bucket
}

// BucketEntry is a bucket in a BucketList.
type BucketEntry struct {
	Name         string
	CreationDate *Time
}

// Location is the answer to GetBucketLocation.
type Location struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ LocationConstraint"`
	Region  string   `xml:",chardata"`
}

// Versioning is the answer to GetBucketVersioning.
type Versioning struct {
	XMLName   xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ VersioningConfiguration"`
	Status    string
	MFADelete string `xml:"MfaDelete"`
}

// Entry is an object in an ObjectList.
type Entry struct {
	Key          string
	LastModified *Time
	ETag         string `xml:",omitempty"`
	Size         int64
	StorageClass string
}

// ObjectList is the answer to ListObjects and ListObjectsV2; each leaves out what
// only the other has.
type ObjectList struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name                  string
	Prefix                string
	Marker                *string
	NextMarker            string `xml:",omitempty"`
	StartAfter            string `xml:",omitempty"`
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	KeyCount              *int
	MaxKeys               int
	Delimiter             string `xml:",omitempty"`
	EncodingType          string `xml:",omitempty"`
	IsTruncated           bool
	Contents              []Entry
	CommonPrefixes        []Prefix
}

// VersionEntry is an object in a VersionList: its one version, which is called "null".
type VersionEntry struct {
	Entry
	VersionID string `xml:"VersionId"`
	IsLatest  bool
}

// NullVersion is what S3 calls an object's version in a bucket that keeps but one.
const NullVersion = "null"

// VersionList is the answer to ListObjectVersions.
type VersionList struct {
	XMLName             xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListVersionsResult"`
	Name                string
	Prefix              string
	KeyMarker           string
	VersionIDMarker     string `xml:"VersionIdMarker"`
	NextKeyMarker       string `xml:",omitempty"`
	NextVersionIDMarker string `xml:"NextVersionIdMarker,omitempty"`
	MaxKeys             int
	Delimiter           string `xml:",omitempty"`
	EncodingType        string `xml:",omitempty"`
	IsTruncated         bool
	Version             []VersionEntry
	CommonPrefixes      []Prefix
}

// UploadEntry is an upload in an UploadList.
type UploadEntry struct {
	Key          string
	UploadID     string `xml:"UploadId"`
	StorageClass string
	Initiated    *Time
}

// UploadList is the answer to ListMultipartUploads.
type UploadList struct {
	XMLName            xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListMultipartUploadsResult"`
	Bucket             string
	KeyMarker          string
	UploadIDMarker     string `xml:"UploadIdMarker"`
	NextKeyMarker      string `xml:",omitempty"`
	NextUploadIDMarker string `xml:"NextUploadIdMarker,omitempty"`
	Prefix             string `xml:",omitempty"`
	Delimiter          string `xml:",omitempty"`
	EncodingType       string `xml:",omitempty"`
	MaxUploads         int
	IsTruncated        bool
	Upload             []UploadEntry
	CommonPrefixes     []Prefix
}

// PartEntry is a part in a PartList.
type PartEntry struct {
	PartNumber   int
	LastModified *Time
	ETag         string
	Size         int64
}

// PartList is the answer to ListParts.
type PartList struct {
	XMLName              xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListPartsResult"`
	Bucket               string
	Key                  string
	UploadID             string `xml:"UploadId"`
	StorageClass         string
	PartNumberMarker     int
	NextPartNumberMarker int `xml:",omitempty"`
	MaxParts             int
	IsTruncated          bool
	Part                 []PartEntry
}

// Initiated is the answer to CreateMultipartUpload.
type Initiated struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ InitiateMultipartUploadResult"`
	Bucket   string
	Key      string
	UploadID string `xml:"UploadId"`
}

// Completed is the answer to CompleteMultipartUpload.
type Completed struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUploadResult"`
	Location string
	Bucket   string
	Key      string
	ETag     string
}

// Copied is the answer to CopyObject.
type Copied struct {
	XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyObjectResult"`
	LastModified *Time
	ETag         string
}

// CopiedPart is the answer to UploadPartCopy.
type CopiedPart struct {
	XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyPartResult"`
	LastModified *Time
	ETag         string
}

// Posted is the answer to a form upload that asks for status 201.
type Posted struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ PostResponse"`
	Location string
	Bucket   string
	Key      string
	ETag     string
}

// Tagging is the answer to GetObjectTagging: objects have no tags.
type Tagging struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ Tagging"`
	TagSet  struct{}
}

// Gone is an object in a Deletion.
type Gone struct {
	Key       string
	VersionID string `xml:"VersionId,omitempty"`
}

// Kept is an object in a Deletion that is still there, and why.
type Kept struct {
	Key       string
	VersionID string `xml:"VersionId,omitempty"`
	Code      string
	Message   string
}

// Deletion is the answer to DeleteObjects.
type Deletion struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ DeleteResult"`
	Deleted []Gone
	Error   []Kept
}

// Delete is the body of DeleteObjects.
type Delete struct {
	XMLName xml.Name `xml:"Delete"`
	Object  []Gone
	Quiet   bool
}

// Complete is the body of CompleteMultipartUpload.
type Complete struct {
	XMLName xml.Name `xml:"CompleteMultipartUpload"`
	Part    []ChosenPart
}

// ChosenPart is a part that the object is to be made of.
type ChosenPart struct {
	PartNumber int
	ETag       string
}

// failure is an error's document, which has no namespace.
type failure struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string
	Message   string
	Resource  string
	RequestID string `xml:"RequestId"`
}

// Write writes a document.
func Write(w http.ResponseWriter, status int, document any) error {
	body := bytes.NewBufferString(xml.Header)
	if err := xml.NewEncoder(body).Encode(document); err != nil {
		return fmt.Errorf("s3api: write: %w", err)
	}
	w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	if _, err := w.Write(body.Bytes()); err != nil {
		return fmt.Errorf("s3api: write: %w", err)
	}
	return nil
}

// WriteError writes e. The answer to HEAD has no body, nor has one of status 304.
func WriteError(w http.ResponseWriter, r *http.Request, e *apierr.Error, resource, requestID string) error {
	for name, values := range e.Header {
		w.Header()[name] = values
	}
	if r.Method == http.MethodHead || e.Status == http.StatusNotModified {
		w.WriteHeader(e.Status)
		return nil
	}
	return Write(w, e.Status, failure{Code: e.Code, Message: e.Message, Resource: resource, RequestID: requestID})
}

// Read decodes a body of at most limit bytes into document.
func Read(body io.Reader, limit int64, document any) error {
	raw, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return err
	}
	if int64(len(raw)) > limit {
		return errXML(nil)
	}
	if err := xml.Unmarshal(raw, document); err != nil {
		return errXML(err)
	}
	return nil
}
