package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What the S3 protocol signs reaches the worker as it was sent, without an API key:
// the path as it is escaped, the query in its order, the host, and headers and framing.
func TestSignedRequestsPassUnchanged(t *testing.T) {
	t.Parallel()
	type seen struct {
		uri, host, body string
		header          http.Header
	}
	arrived := make(chan seen, 1)
	worker := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived <- seen{r.RequestURI, r.Host, string(body), r.Header}
	}))
	defer worker.Close()
	d := open(t, config(worker.URL))
	const (
		uri    = "/storage/v1/s3/docs/a%20b+c%2Fd//e(1)'%C3%BC%21?x-id=PutObject&uploadId=b%2B&partNumber=1&X-Amz-SignedHeaders=host;x-amz-date&&tagging"
		chunks = "3;chunk-signature=abc\r\nxyz\r\n0;chunk-signature=def\r\n\r\n"
	)
	headers := map[string]string{
		"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00", "Accept-Encoding": "identity",
		"Content-Encoding": "aws-chunked", "X-Amz-Content-Sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "X-Amz-Decoded-Content-Length": "3",
		"X-Amz-Meta-A": "two  spaces", "Content-Type": "", "User-Agent": "",
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(d.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var request strings.Builder
	fmt.Fprintf(&request, "PUT %s HTTP/1.1\r\nHost: files.example.com:8443\r\nContent-Length: %d\r\nExpect: 100-continue\r\nConnection: close\r\n", uri, len(chunks))
	for name, value := range headers {
		if value != "" {
			fmt.Fprintf(&request, "%s: %s\r\n", name, value)
		}
	}
	if _, err := conn.Write([]byte(request.String() + "\r\n")); err != nil {
		t.Fatal(err)
	}
	answer := bufio.NewReader(conn)
	if line, err := answer.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("%q %v", line, err)
	}
	if _, err := conn.Write([]byte(chunks)); err != nil {
		t.Fatal(err)
	}
	got := <-arrived
	if got.uri != uri || got.host != "files.example.com:8443" || got.body != chunks {
		t.Errorf("%+v", got)
	}
	for name, value := range headers {
		if got.header.Get(name) != value {
			t.Errorf("%s: %q", name, got.header.Get(name))
		}
	}
	if got := got.header.Get("X-Forwarded-Host"); got != "files.example.com:8443" {
		t.Errorf("X-Forwarded-Host: %q", got)
	}
	if _, err := io.Copy(io.Discard, answer); err != nil {
		t.Error(err)
	}
}
