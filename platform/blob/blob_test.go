package blob_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metrics"

	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/blobtest"
	"github.com/madbase/madbase/platform/blob/mem"
)

func TestPrefixIsAStore(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blob.Store {
		below := mem.New()
		other, err := below.Put(t.Context(), "other/k", strings.NewReader("x"), blob.PutOptions{Size: 1})
		if err != nil || other.Key != "other/k" {
			t.Fatal(other, err)
		}
		return blob.Prefix(below, "one/")
	})
}

func TestMeasuredIsAStore(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(*testing.T) blob.Store { return blob.Measure(mem.New(), metrics.NewSet(), "mem") })
}

func TestPrefixKeepsToItself(t *testing.T) {
	t.Parallel()
	below := mem.New()
	s := blob.Prefix(below, "one/")
	info, err := s.Put(t.Context(), "k", strings.NewReader("x"), blob.PutOptions{Size: 1})
	if err != nil || info.Key != "k" {
		t.Fatal(info, err)
	}
	if _, err := below.Stat(t.Context(), "one/k"); err != nil {
		t.Error(err)
	}
}

func TestMeasureCounts(t *testing.T) {
	t.Parallel()
	set := metrics.NewSet()
	s := blob.Measure(mem.New(), set, "mem")
	if _, err := s.Put(t.Context(), "k", strings.NewReader("12345"), blob.PutOptions{Size: 5}); err != nil {
		t.Fatal(err)
	}
	_, _ = s.Put(t.Context(), "k", strings.NewReader("12345"), blob.PutOptions{Size: 6})
	_, _, _ = s.Get(t.Context(), "none", nil)
	r, _, err := s.Get(t.Context(), "k", &blob.Range{Offset: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(r)
	_ = r.Close()
	var out bytes.Buffer
	set.WritePrometheus(&out)
	for _, line := range []string{
		`madbase_blob_bytes_total{driver="mem",op="put"} 5`,
		`madbase_blob_bytes_total{driver="mem",op="get"} 4`,
		`madbase_blob_errors_total{driver="mem",op="put"} 1`,
		`madbase_blob_seconds_count{driver="mem",op="get"} 2`,
	} {
		if !strings.Contains(out.String(), line+"\n") {
			t.Errorf("no line %s in\n%s", line, out.String())
		}
	}
	if strings.Contains(out.String(), `errors_total{driver="mem",op="get"}`) {
		t.Error("an object that is not there counts as an error")
	}
}

func TestConfigAllOrNothing(t *testing.T) {
	t.Parallel()
	whole := blob.Config{Endpoint: "https://s3", AccessKey: "a", SecretKey: "hunter2", Bucket: "b", Region: "r"}
	for name, c := range map[string]struct {
		cfg    blob.Config
		driver string
		faults []string
	}{
		"nothing":       {blob.Config{Region: "us-east-1", PathStyle: true}, "fs", nil},
		"all":           {whole, "s3", nil},
		"only endpoint": {blob.Config{Endpoint: "https://s3", Region: "r"}, "s3", []string{"S3_ACCESS_KEY", "S3_SECRET_KEY", "S3_BUCKET"}},
		"only secret":   {blob.Config{SecretKey: "hunter2"}, "fs", []string{"S3_ENDPOINT", "S3_ACCESS_KEY", "S3_BUCKET"}},
		"no memory":     {blob.Config{UploadMemory: 1}, "fs", []string{"S3_UPLOAD_MEMORY"}},
		"no URL":        {blob.Config{Endpoint: "s3:9000", AccessKey: "a", SecretKey: "hunter2", Bucket: "b"}, "s3", []string{"S3_ENDPOINT", "S3_REGION"}},
	} {
		err := c.cfg.Validate()
		if c.cfg.Driver() != c.driver || (err == nil) != (c.faults == nil) {
			t.Errorf("%s: %s, %v", name, c.cfg.Driver(), err)
		}
		for _, fault := range c.faults {
			if !strings.Contains(err.Error(), fault) {
				t.Errorf("%s: %s is not named in %q", name, fault, err)
			}
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the secret is in %q", name, err)
		}
	}
}

func TestRangeResolve(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rng                  blob.Range
		size, offset, length int64
		err                  error
	}{
		{blob.Range{}, 10, 0, 10, nil},
		{blob.Range{Offset: 9, Length: 1 << 62}, 10, 9, 1, nil},
		{blob.Range{Offset: -10}, 10, 0, 10, nil},
		{blob.Range{Offset: -11}, 10, 0, 10, nil},
		{blob.Range{Offset: 10}, 10, 0, 0, blob.ErrRange},
		{blob.Range{Offset: -1}, 0, 0, 0, blob.ErrRange},
		{blob.Range{Length: -1}, 10, 0, 0, blob.ErrRange},
	} {
		offset, length, err := c.rng.Resolve(c.size)
		if offset != c.offset || length != c.length || !errors.Is(err, c.err) {
			t.Errorf("%+v of %d: %d+%d, %v", c.rng, c.size, offset, length, err)
		}
	}
}
