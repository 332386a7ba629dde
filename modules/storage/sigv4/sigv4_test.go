package sigv4_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/storage/sigv4"
	"github.com/madbase/madbase/platform/apierr"
)

// The credential and time of the examples in Amazon S3's API reference.
const (
	accessKey = "AKIAIOSFODNN7EXAMPLE"
	secretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	published = "20130524T000000Z"
	emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func at(t *testing.T, stamp string) func() time.Time {
	t.Helper()
	now, err := time.Parse("20060102T150405Z", stamp)
	if err != nil {
		t.Fatal(err)
	}
	return func() time.Time { return now }
}

// verify runs the whole way: parse, verify, read.
func verify(v *sigv4.Verifier, r *http.Request) (string, error) {
	s, err := sigv4.Parse(r)
	if err != nil {
		return "", err
	}
	payload, err := v.Verify(r, s, secretKey)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(payload)
	if err == nil {
		err = payload.Verified()
	}
	return string(body), err
}

// request makes one; headers are "Name: value".
func request(method, url, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, url, strings.NewReader(body))
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if strings.EqualFold(name, "host") {
			r.Host = value
			continue
		}
		r.Header.Add(name, value)
	}
	return r
}

func authorization(signedHeaders, signature string) string {
	return "Authorization: AWS4-HMAC-SHA256 Credential=" + accessKey + "/20130524/us-east-1/s3/aws4_request,SignedHeaders=" +
		signedHeaders + ",Signature=" + signature
}

// code is the S3 code of an error; empty for none.
func code(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok {
		t.Fatalf("%v is no error with a code", err)
	}
	return e.Code
}

const (
	bucketHost = "Host: examplebucket.s3.amazonaws.com"
	dated      = "X-Amz-Date: " + published
)

// TestPublishedExamples verifies the requests that Amazon publishes with their signatures.
func TestPublishedExamples(t *testing.T) {
	t.Parallel()
	const welcome = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
	for name, r := range map[string]*http.Request{
		"get object": request("GET", "/test.txt", "", bucketHost, "Range: bytes=0-9", dated, "X-Amz-Content-Sha256: "+emptyHash,
			authorization("host;range;x-amz-content-sha256;x-amz-date", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")),
		"put object": request("PUT", "/test$file.text", "Welcome to Amazon S3.", bucketHost, "Date: Fri, 24 May 2013 00:00:00 GMT", dated,
			"X-Amz-Storage-Class: REDUCED_REDUNDANCY", "X-Amz-Content-Sha256: "+welcome,
			authorization("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")),
		"get lifecycle": request("GET", "/?lifecycle", "", bucketHost, dated, "X-Amz-Content-Sha256: "+emptyHash,
			authorization("host;x-amz-content-sha256;x-amz-date", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")),
		"list objects": request("GET", "/?max-keys=2&prefix=J", "", bucketHost, dated, "X-Amz-Content-Sha256: "+emptyHash,
			authorization("host;x-amz-content-sha256;x-amz-date", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")),
		"presigned": request("GET", "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="+accessKey+
			"%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date="+published+"&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"+
			"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404", "", bucketHost),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := verify(&sigv4.Verifier{Now: at(t, published)}, r); err != nil {
				t.Error(err)
			}
			forged := r.Clone(t.Context())
			forged.Method = "DELETE"
			forged.Body = http.NoBody
			if _, err := verify(&sigv4.Verifier{Now: at(t, published)}, forged); code(t, err) != "SignatureDoesNotMatch" {
				t.Errorf("another method: %v", err)
			}
		})
	}
}

// chunkedExample is Amazon's example of 66560 letters in two chunks.
func chunkedExample(signatures []string, end string) string {
	a := strings.Repeat("a", 65536)
	return "10000;chunk-signature=" + signatures[0] + "\r\n" + a + "\r\n" +
		"400;chunk-signature=" + signatures[1] + "\r\n" + a[:1024] + "\r\n" +
		"0;chunk-signature=" + signatures[2] + "\r\n" + end
}

func chunkedRequest(body string) *http.Request {
	r := request("PUT", "/examplebucket/chunkObject.txt", body, "Host: s3.amazonaws.com", dated, "X-Amz-Storage-Class: REDUCED_REDUNDANCY",
		"X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "Content-Encoding: aws-chunked", "X-Amz-Decoded-Content-Length: 66560",
		authorization("content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
			"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"))
	r.ContentLength = 66824
	return r
}

func trailerRequest(body string) *http.Request {
	return request("PUT", "/examplebucket/chunkObject.txt", body, "Host: s3.amazonaws.com", dated, "X-Amz-Storage-Class: REDUCED_REDUNDANCY",
		"X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "Content-Encoding: aws-chunked", "X-Amz-Decoded-Content-Length: 66560",
		"X-Amz-Trailer: x-amz-checksum-crc32c",
		authorization("content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
			"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"))
}

var (
	chunkSignatures = []string{
		"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
		"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
		"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
	}
	trailerSignatures = []string{
		"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
		"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
		"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
	}
)

const publishedTrailer = "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"

func TestPublishedChunks(t *testing.T) {
	t.Parallel()
	good, withTrailer := chunkedExample(chunkSignatures, "\r\n"), chunkedExample(trailerSignatures, publishedTrailer)
	otherByte := strings.Replace(good, "aaaa", "aaab", 1)
	for name, test := range map[string]struct {
		r    *http.Request
		want string
	}{
		"chunks":            {chunkedRequest(good), ""},
		"trailer":           {trailerRequest(withTrailer), ""},
		"another byte":      {chunkedRequest(otherByte), "SignatureDoesNotMatch"},
		"without the end":   {chunkedRequest(good[:len(good)-88]), "InvalidRequest"},
		"cut in a chunk":    {chunkedRequest(good[:1000]), "InvalidRequest"},
		"more behind":       {chunkedRequest(good + "x"), "InvalidRequest"},
		"another checksum":  {trailerRequest(strings.Replace(withTrailer, "sOO8", "sOO9", 1)), "SignatureDoesNotMatch"},
		"no trailer":        {trailerRequest(chunkedExample(trailerSignatures, "\r\n")), "MalformedTrailerError"},
		"unsigned trailer":  {trailerRequest(chunkedExample(trailerSignatures, publishedTrailer[:32]+"\r\n\r\n")), "MalformedTrailerError"},
		"endless trailer":   {trailerRequest(chunkedExample(trailerSignatures, strings.Repeat("x:y\r\n", 2000))), "EntityTooLarge"},
		"endless header":    {chunkedRequest(strings.Repeat("0", 1000)), "EntityTooLarge"},
		"unsigned chunk":    {chunkedRequest("10\r\n0123456789abcdef\r\n0\r\n\r\n"), "InvalidSignature"},
		"chunk beyond size": {chunkedRequest(strings.Replace(good, "10000;", "10401;", 1)), "InvalidRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := verify(&sigv4.Verifier{Now: at(t, published)}, test.r)
			if got := code(t, err); got != test.want {
				t.Fatalf("got %q (%v), want %q", got, err, test.want)
			}
			if err == nil && body != strings.Repeat("a", 66560) {
				t.Errorf("got %d bytes", len(body))
			}
			if err != nil && len(body) >= 66560 {
				t.Error("all bytes were given out before the fault was found")
			}
		})
	}
}

// TestMalformed gives requests whose signature cannot be read, or leaves open what
// somebody could add.
func TestMalformed(t *testing.T) {
	t.Parallel()
	zeros := strings.Repeat("0", 64)
	const scope = accessKey + "/20130524/us-east-1/s3/aws4_request"
	line := func(credential, headers, signature string) string {
		return "Authorization: AWS4-HMAC-SHA256 Credential=" + credential + ", SignedHeaders=" + headers + ", Signature=" + signature
	}
	good := line(scope, "host;x-amz-date", zeros)
	for name, test := range map[string]struct {
		headers []string
		want    string
	}{
		"nothing":               {nil, "AccessDenied"},
		"a bearer":              {[]string{"Authorization: Bearer x"}, "AccessDenied"},
		"another algorithm":     {[]string{"Authorization: AWS4-ECDSA-P256-SHA256 Credential=x"}, "AccessDenied"},
		"well formed":           {[]string{good, dated}, "SignatureDoesNotMatch"},
		"no date":               {[]string{good}, "InvalidSignature"},
		"two dates":             {[]string{good, dated, dated}, "InvalidSignature"},
		"date of another day":   {[]string{good, "X-Amz-Date: 20130525T000000Z"}, "InvalidSignature"},
		"date in words":         {[]string{good, "X-Amz-Date: yesterday"}, "InvalidSignature"},
		"Date alone":            {[]string{line(scope, "date;host", zeros), "Date: Fri, 24 May 2013 00:00:00 GMT"}, "SignatureDoesNotMatch"},
		"two signatures":        {[]string{good, good, dated}, "InvalidSignature"},
		"no signature":          {[]string{"Authorization: AWS4-HMAC-SHA256 Credential=" + scope + ", SignedHeaders=host", dated}, "InvalidSignature"},
		"said twice":            {[]string{good + ", Signature=" + zeros, dated}, "InvalidSignature"},
		"short signature":       {[]string{line(scope, "host", "00"), dated}, "InvalidSignature"},
		"no hex":                {[]string{line(scope, "host", strings.Repeat("x", 64)), dated}, "InvalidSignature"},
		"no access key":         {[]string{line("/20130524/us-east-1/s3/aws4_request", "host", zeros), dated}, "InvalidSignature"},
		"too few parts":         {[]string{line("a/20130524/s3/aws4_request", "host", zeros), dated}, "InvalidSignature"},
		"another end":           {[]string{line(accessKey+"/20130524/us-east-1/s3/aws5_request", "host", zeros), dated}, "InvalidSignature"},
		"another service":       {[]string{line(accessKey+"/20130524/us-east-1/iam/aws4_request", "host;x-amz-date", zeros), dated}, "AccessDenied"},
		"another region":        {[]string{line(accessKey+"/20130524/eu-west-1/s3/aws4_request", "host;x-amz-date", zeros), dated}, "AccessDenied"},
		"header twice":          {[]string{line(scope, "host;host", zeros), dated}, "InvalidSignature"},
		"upper case":            {[]string{line(scope, "Host;x-amz-date", zeros), dated}, "InvalidSignature"},
		"host is not signed":    {[]string{line(scope, "x-amz-date", zeros), dated}, "AccessDenied"},
		"session is not signed": {[]string{good, dated, "X-Amz-Security-Token: x"}, "AccessDenied"},
		"two sessions":          {[]string{good, dated, "X-Amz-Security-Token: x", "X-Amz-Security-Token: y"}, "InvalidSignature"},
		"endless session":       {[]string{good, dated, "X-Amz-Security-Token: " + strings.Repeat("x", 20000)}, "InvalidSignature"},
		"endless header":        {[]string{line(strings.Repeat("x", 10000), "host", zeros), dated}, "InvalidSignature"},
		"of CloudFront":         {[]string{good, dated, "X-Amz-Cf-Id: x"}, "SignatureDoesNotMatch"},
	} {
		_, err := verify(&sigv4.Verifier{Now: at(t, published), Regions: []string{"us-east-1"}}, request("GET", "/a", "", test.headers...))
		if got := code(t, err); got != test.want {
			t.Errorf("%s: got %q (%v), want %q", name, got, err, test.want)
		}
	}
	_, err := verify(&sigv4.Verifier{Now: at(t, published)}, request("GET", "/a", "", "Host: h", good, dated))
	if !strings.Contains(err.Error(), `hosts ["h"] with the paths ["/a"]`) {
		t.Errorf("the log does not tell what was tried: %v", err)
	}
}
