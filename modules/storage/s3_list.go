package storage

import (
	"context"

	"github.com/madbase/madbase/modules/storage/s3api"
	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/db"
)

// s3ListObjects is both ListObjects and ListObjectsV2, which differ in how they say where to go on.
func (m *Module) s3ListObjects(rq *s3Call) error {
	second := false
	switch rq.query.Get("list-type") {
	case "":
	case "2":
		second = true
	default:
		return s3api.ErrParameter("list-type")
	}
	list, err := s3api.ReadList(rq.query, "max-keys")
	if err != nil {
		return err
	}
	if _, err := rq.anyBucket(); err != nil {
		return err
	}
	answer := s3api.ObjectList{
		Name: rq.bucket, Prefix: list.Name(list.Prefix), Delimiter: list.Name(list.Delimiter), MaxKeys: list.Limit, EncodingType: list.Encoding(),
	}
	if second {
		return m.s3ListSecond(rq, list, answer)
	}
	marker := list.Name(rq.query.Get("marker"))
	answer.Marker = &marker
	next, err := rq.list(list, list.After(rq.query.Get("marker")), &answer)
	if err != nil {
		return err
	}
	if list.Delimiter != "" { // else clients take the last key
		answer.NextMarker = list.Name(next.Key)
	}
	return rq.answer(answer)
}

func (m *Module) s3ListSecond(rq *s3Call, list s3api.List, answer s3api.ObjectList) error {
	token, start := rq.query.Get("continuation-token"), rq.query.Get("start-after")
	after := list.After(start)
	if token != "" {
		var err error
		if after, err = s3api.ParseToken(token); err != nil {
			return err
		}
	}
	next, err := rq.list(list, after, &answer)
	if err != nil {
		return err
	}
	answer.ContinuationToken, answer.StartAfter = token, list.Name(start)
	if next.Key != "" {
		answer.NextContinuationToken = next.Token()
	}
	count := len(answer.Contents) + len(answer.CommonPrefixes)
	answer.KeyCount = &count
	return rq.answer(answer)
}

// s3ListVersions lists the objects as versions, of which each has one: some clients
// empty buckets by them.
func (m *Module) s3ListVersions(rq *s3Call) error {
	list, err := s3api.ReadList(rq.query, "max-keys")
	if err != nil {
		return err
	}
	if _, err := rq.anyBucket(); err != nil {
		return err
	}
	var objects s3api.ObjectList
	marker := rq.query.Get("key-marker")
	next, err := rq.list(list, list.After(marker), &objects)
	if err != nil {
		return err
	}
	answer := s3api.VersionList{
		Name: rq.bucket, Prefix: list.Name(list.Prefix), Delimiter: list.Name(list.Delimiter), MaxKeys: list.Limit, EncodingType: list.Encoding(),
		KeyMarker: list.Name(marker), VersionIDMarker: rq.query.Get("version-id-marker"),
		IsTruncated: objects.IsTruncated, NextKeyMarker: list.Name(next.Key), CommonPrefixes: objects.CommonPrefixes,
	}
	if objects.IsTruncated && !next.Folder {
		answer.NextVersionIDMarker = s3api.NullVersion
	}
	for _, e := range objects.Contents {
		answer.Version = append(answer.Version, s3api.VersionEntry{Entry: e, VersionID: s3api.NullVersion, IsLatest: true})
	}
	return rq.answer(answer)
}

// list adds to answer the entries behind after, and returns where it ends when there are more.
func (rq *s3Call) list(list s3api.List, after s3api.Place, answer *s3api.ObjectList) (next s3api.Place, err error) {
	if list.Limit == 0 {
		return next, nil
	}
	keys := store.Keys{Bucket: rq.bucket, Prefix: list.Prefix, Delimiter: list.Delimiter, After: after.Key, Folder: after.Folder, Limit: list.Limit + 1}
	var entries []store.Key
	err = rq.do(func(ctx context.Context, q db.Queryer) (err error) {
		entries, err = store.ListKeys(ctx, q, keys)
		return err
	})
	if err != nil {
		return next, err
	}
	if len(entries) > list.Limit {
		entries = entries[:list.Limit]
		last := entries[len(entries)-1]
		answer.IsTruncated, next = true, s3api.Place{Key: last.Name, Folder: last.ID == nil}
	}
	for _, e := range entries {
		if e.ID == nil {
			answer.CommonPrefixes = append(answer.CommonPrefixes, s3api.Prefix{Prefix: list.Name(e.Name)})
			continue
		}
		answer.Contents = append(answer.Contents, s3Entry(list, e))
	}
	return next, nil
}

func s3Entry(list s3api.List, e store.Key) s3api.Entry {
	meta := parseMetadata(e.Metadata)
	return s3api.Entry{Key: list.Name(e.Name), LastModified: s3Time(e.UpdatedAt), ETag: meta.ETag, Size: meta.Size, StorageClass: "STANDARD"}
}
