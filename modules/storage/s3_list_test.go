package storage_test

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func TestS3Lists(t *testing.T) {
	t.Parallel()
	b := newBench(t, s3On)
	b.bucket("docs", nil)
	b.p.Exec(t, `INSERT INTO storage.objects (bucket_id, name, metadata)
		SELECT 'docs', CASE WHEN i <= 1200 THEN 'd' || i % 400 || '/' || i WHEN i <= 1210 THEN 'x y+é/' || i ELSE 'o' || lpad(i::text, 5, '0') END, '{"size":3,"eTag":"\"tag\""}' FROM generate_series(1, 2500) i`)
	c := b.s3()
	keys, prefixes, pages := c.walk(&awss3.ListObjectsV2Input{Bucket: aws.String("docs")})
	if len(keys) != 2500 || len(prefixes) != 0 || pages != 3 || !slices.IsSorted(keys) {
		t.Errorf("%d keys, %d prefixes, %d pages", len(keys), len(prefixes), pages)
	}
	keys, prefixes, pages = c.walk(&awss3.ListObjectsV2Input{Bucket: aws.String("docs"), Delimiter: aws.String("/"), MaxKeys: aws.Int32(300)})
	if len(keys) != 1290 || len(prefixes) != 401 || pages != 6 || !slices.IsSorted(keys) || !slices.IsSorted(prefixes) {
		t.Errorf("%d keys, %d prefixes, %d pages", len(keys), len(prefixes), pages)
	}
	keys, prefixes, _ = c.walk(&awss3.ListObjectsV2Input{Bucket: aws.String("docs"), Delimiter: aws.String("0"), Prefix: aws.String("o"), MaxKeys: aws.Int32(1)})
	if len(keys) != 0 || !slices.Equal(prefixes, []string{"o0"}) {
		t.Errorf("%v %v", keys, prefixes)
	}
	for _, size := range []int32{1, 2, 1000} { // the object called as the prefix is an entry like others
		b.p.Exec(t, `INSERT INTO storage.objects (bucket_id, name) VALUES ('docs', 'd7/'), ('docs', 'd7'), ('docs', 'd7/-/x') ON CONFLICT DO NOTHING`)
		keys, prefixes, _ = c.walk(&awss3.ListObjectsV2Input{Bucket: aws.String("docs"), Prefix: aws.String("d7/"), Delimiter: aws.String("/"), MaxKeys: &size})
		if !slices.Equal(keys, []string{"d7/", "d7/1207", "d7/407", "d7/7", "d7/807"}) && !slices.Equal(keys, []string{"d7/", "d7/407", "d7/7", "d7/807"}) || !slices.Equal(prefixes, []string{"d7/-/"}) {
			t.Errorf("%v %v", keys, prefixes)
		}
	}
	for start, first := range map[string]string{"d7": "d7/", "d7/": "d70/", "d7/9": "d70/", "d7/5": "d7/", "d7/zzz": "d70/"} {
		out, err := c.ListObjectsV2(c.ctx, &awss3.ListObjectsV2Input{Bucket: aws.String("docs"), Delimiter: aws.String("/"), StartAfter: &start, MaxKeys: aws.Int32(1)})
		if err != nil || len(out.CommonPrefixes) != 1 || *out.CommonPrefixes[0].Prefix != first || *out.StartAfter != start {
			t.Errorf("%s: %+v %v", start, out, err)
		}
	}
	out, err := c.ListObjectsV2(c.ctx, &awss3.ListObjectsV2Input{Bucket: aws.String("docs"), Prefix: aws.String("x y"), EncodingType: types.EncodingTypeUrl, MaxKeys: aws.Int32(2)})
	if err != nil || *out.Contents[0].Key != "x%20y%2B%C3%A9/1201" || *out.Contents[0].Size != 3 || *out.Contents[0].ETag != `"tag"` || *out.Prefix != "x%20y" || *out.KeyCount != 2 {
		t.Errorf("%+v %v", out, err)
	}
	empty, err := c.ListObjectsV2(c.ctx, &awss3.ListObjectsV2Input{Bucket: aws.String("docs"), MaxKeys: aws.Int32(0)})
	if err != nil || len(empty.Contents) != 0 || *empty.IsTruncated || *empty.MaxKeys != 0 {
		t.Errorf("%+v %v", empty, err)
	}
	_, err = c.ListObjectsV2(c.ctx, &awss3.ListObjectsV2Input{Bucket: aws.String("none")})
	refused(t, err, 404, "NoSuchBucket")
	_, err = c.ListObjectsV2(c.ctx, &awss3.ListObjectsV2Input{Bucket: aws.String("docs"), ContinuationToken: aws.String("no token")})
	refused(t, err, 400, "InvalidParameter")
	listFirst(t, c)
	versions(t, c)
}

// versions empties the bucket by its versions, as rclone does.
func versions(t *testing.T, c s3Caller) {
	t.Helper()
	gone := 0
	in := &awss3.ListObjectVersionsInput{Bucket: aws.String("docs"), Prefix: aws.String("d")}
	for {
		out, err := c.ListObjectVersions(c.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		var objects []types.ObjectIdentifier
		for _, v := range out.Versions {
			objects = append(objects, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		deleted, err := c.DeleteObjects(c.ctx, &awss3.DeleteObjectsInput{Bucket: aws.String("docs"), Delete: &types.Delete{Objects: objects}})
		if err != nil || len(deleted.Errors) != 0 {
			t.Fatalf("%+v %v", deleted, err)
		}
		gone += len(deleted.Deleted)
		if !*out.IsTruncated {
			break
		}
		in.KeyMarker, in.VersionIdMarker = out.NextKeyMarker, out.NextVersionIdMarker
	}
	if keys, _, _ := c.walk(&awss3.ListObjectsV2Input{Bucket: aws.String("docs"), Prefix: aws.String("d")}); gone != 1200+3 || len(keys) != 0 {
		t.Errorf("%d deleted, %d left", gone, len(keys))
	}
}

// listFirst walks by ListObjects, as older clients do.
func listFirst(t *testing.T, c s3Caller) {
	t.Helper()
	var names []string
	in := &awss3.ListObjectsInput{Bucket: aws.String("docs"), Delimiter: aws.String("/"), MaxKeys: aws.Int32(400)}
	for {
		out, err := c.ListObjects(c.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range out.CommonPrefixes {
			names = append(names, *p.Prefix)
		}
		for _, o := range out.Contents {
			names = append(names, *o.Key)
		}
		if !*out.IsTruncated {
			break
		}
		in.Marker = out.NextMarker
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != len(names) || len(names) != 1290+401+1 {
		t.Errorf("%d names", len(names))
	}
}

// walk reads a listing to its end.
func (c s3Caller) walk(in *awss3.ListObjectsV2Input) (keys, prefixes []string, pages int) {
	c.t.Helper()
	for {
		out, err := c.ListObjectsV2(c.ctx, in)
		if err != nil {
			c.t.Fatal(err)
		}
		pages++
		for _, o := range out.Contents {
			keys = append(keys, *o.Key)
		}
		for _, p := range out.CommonPrefixes {
			prefixes = append(prefixes, *p.Prefix)
		}
		if int(*out.KeyCount) != len(out.Contents)+len(out.CommonPrefixes) {
			c.t.Errorf("%d keys counted", *out.KeyCount)
		}
		if !*out.IsTruncated {
			return keys, prefixes, pages
		}
		next := *in
		next.ContinuationToken, in = out.NextContinuationToken, &next
	}
}

func TestS3ListUploads(t *testing.T) {
	t.Parallel()
	b := newBench(t, s3On)
	b.bucket("docs", nil)
	c := b.s3()
	for _, key := range []string{"b/1", "b/2", "a", "a", "c"} {
		c.multipart("docs", key)
	}
	var names []string
	in := &awss3.ListMultipartUploadsInput{Bucket: aws.String("docs"), Delimiter: aws.String("/"), MaxUploads: aws.Int32(1)}
	for {
		out, err := c.ListMultipartUploads(c.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range out.Uploads {
			names = append(names, *u.Key)
		}
		for _, p := range out.CommonPrefixes {
			names = append(names, *p.Prefix)
		}
		if !*out.IsTruncated {
			break
		}
		in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
	}
	if !slices.Equal(names, []string{"a", "a", "b/", "c"}) {
		t.Error(names)
	}
	out, err := c.ListMultipartUploads(c.ctx, &awss3.ListMultipartUploadsInput{Bucket: aws.String("docs"), Prefix: aws.String("b/"), KeyMarker: aws.String("b/1")})
	if err != nil || len(out.Uploads) != 1 || *out.Uploads[0].Key != "b/2" || out.Uploads[0].UploadId == nil || time.Since(*out.Uploads[0].Initiated) > time.Minute {
		t.Errorf("%+v %v", out, err)
	}
}
