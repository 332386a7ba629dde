package storage_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
)

// fill makes rows without bytes, which lists do not look at.
func (b *bench) fill(bucket string, names ...string) {
	b.t.Helper()
	_, err := b.p.Owner.Exec(context.Background(), `
		INSERT INTO storage.objects (bucket_id, name, version, metadata, created_at, updated_at)
		SELECT $1, name, 'v', '{"size":1}', '2026-01-01'::timestamptz + at * interval '1 second', '2026-01-01'::timestamptz - at * interval '1 second'
		FROM unnest($2::text[]) WITH ORDINALITY AS n (name, at)`, bucket, names)
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) list(bucket string, body map[string]any) (names []string) {
	b.t.Helper()
	var entries []objectView
	b.ok("POST", "/object/list/"+bucket, b.service, body).json(b.t, &entries)
	for _, e := range entries {
		name := e.Name
		if e.ID == nil {
			name += "/"
			if e.Metadata != nil || e.UpdatedAt != nil {
				b.t.Errorf("a folder has %+v", e)
			}
		}
		names = append(names, name)
	}
	return names
}

func TestList(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("l", nil)
	b.fill("l", "b.txt", "a.txt", "Zeta.txt", "dir/x.txt", "dir/sub/y.txt", "dir/sub/z.txt", "dir/Abc.txt", "d_r/1.txt", "dir.txt", "dir!/a", "Dir/upper.txt", "deep/a/b/f.png")
	for _, c := range []struct {
		what string
		body map[string]any
		want []string
	}{
		{"root", map[string]any{"prefix": ""}, []string{"a.txt", "b.txt", "d_r/", "deep/", "dir!/", "dir.txt", "Dir/", "Zeta.txt"}},
		{"folder", map[string]any{"prefix": "dir"}, []string{"Abc.txt", "sub/", "upper.txt", "x.txt"}},
		{"folder with slash", map[string]any{"prefix": "dir/sub/"}, []string{"y.txt", "z.txt"}},
		{"no folder", map[string]any{"prefix": "nope"}, nil},
		{"descending", map[string]any{"prefix": "dir", "sortBy": map[string]any{"column": "name", "order": "desc"}}, []string{"x.txt", "upper.txt", "sub/", "Abc.txt"}},
		{"paged", map[string]any{"prefix": "dir", "limit": 2, "offset": 1}, []string{"sub/", "upper.txt"}},
		{"search", map[string]any{"prefix": "dir", "search": "a"}, []string{"Abc.txt"}},
		{"search for a folder", map[string]any{"prefix": "dir", "search": "S"}, []string{"sub/"}},
		{"search at the root", map[string]any{"prefix": "", "search": "dir."}, []string{"dir.txt"}},
		{"search across folders", map[string]any{"prefix": "", "search": "deep/a/b/"}, []string{"deep/a/b/f.png"}},
		{"search for a name across folders", map[string]any{"prefix": "deep", "search": "a/b/f.png"}, []string{"a/b/f.png"}},
		{"search across folders by time", map[string]any{"prefix": "deep", "search": "a/b/f.png", "sortBy": map[string]any{"column": "created_at"}}, []string{"a/b/f.png"}},
		{"search for folders across folders", map[string]any{"prefix": "", "search": "deep/a/"}, []string{"deep/a/b/"}},
		{"search across folders in vain", map[string]any{"prefix": "deep", "search": "x/f.png"}, nil},
		{"underscore is itself", map[string]any{"prefix": "d_r"}, []string{"1.txt"}},
		{"underscore is itself by time", map[string]any{"prefix": "d_r", "sortBy": map[string]any{"column": "created_at"}}, []string{"1.txt"}},
		{"by time", map[string]any{"prefix": "dir", "sortBy": map[string]any{"column": "created_at", "order": "asc"}}, []string{"sub/", "x.txt", "Abc.txt", "upper.txt"}},
		{"by time, searched", map[string]any{"prefix": "dir", "search": "x", "sortBy": map[string]any{"column": "updated_at"}}, []string{"x.txt"}},
	} {
		got := b.list("l", c.body)
		if c.what == "root" { // which of two names that differ by case stands for the folder is open
			for i := range got {
				if got[i] == "dir/" {
					got[i] = "Dir/"
				}
			}
		}
		if !equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
	if got := b.ok("POST", "/object/list/unknown", b.service, map[string]any{"prefix": ""}); got.body != "[]" {
		t.Error(got.body)
	}
	b.do("POST", "/object/list/l", b.service, map[string]any{}).fails(t, "400", "Error", "InvalidRequest", "body must have required property 'prefix'")
	b.do("POST", "/object/list/l", b.service, map[string]any{"prefix": "", "sortBy": map[string]any{"column": "id"}}).
		fails(t, "400", "Error", "InvalidRequest", "body/sortBy/column must be equal to one of the allowed values")
	b.do("POST", "/object/list/l", b.service, map[string]any{"prefix": "a\x00"}).
		fails(t, "400", "InvalidRequest", "InvalidRequest", "Unsupported character in the request")
}

func TestListPagesMeetEveryEntryOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("l", nil)
	var names []string
	for i := range 40 {
		names = append(names, fmt.Sprintf("p/f%02d/x", i), fmt.Sprintf("p/f%02d/y", i), fmt.Sprintf("p/f%02d!", i), fmt.Sprintf("p/g%02d", i))
	}
	names = append(names, "p/same", "p/same/in", "q", "p")
	b.fill("l", names...)
	for _, order := range []string{"asc", "desc"} {
		sort := map[string]any{"column": "name", "order": order}
		whole := b.list("l", map[string]any{"prefix": "p", "limit": 1000, "sortBy": sort})
		if len(whole) != 122 {
			t.Fatalf("%s: %d entries", order, len(whole))
		}
		var paged []string
		for offset := 0; ; offset += 7 {
			part := b.list("l", map[string]any{"prefix": "p", "limit": 7, "offset": offset, "sortBy": sort})
			paged = append(paged, part...)
			if len(part) < 7 {
				break
			}
		}
		if !equal(whole, paged) {
			t.Errorf("%s: pages differ from the whole: %v", order, paged)
		}
	}
	for _, delimiter := range []bool{true, false} {
		for _, column := range []string{"name", "created_at", "updated_at"} {
			for _, order := range []string{"asc", "desc"} {
				var seen []string
				cursor := ""
				for range 200 {
					body := map[string]any{"prefix": "p/", "limit": 7, "with_delimiter": delimiter, "sortBy": map[string]any{"column": column, "order": order}}
					if cursor != "" {
						body["cursor"] = cursor
					}
					var p struct {
						HasNext          bool
						NextCursor       string
						Folders, Objects []struct{ Key, Name string }
					}
					b.ok("POST", "/object/list-v2/l", b.service, body).json(t, &p)
					for _, e := range append(p.Folders, p.Objects...) {
						seen = append(seen, e.Name)
						if delimiter == (e.Key == "") {
							t.Errorf("key of %s is %q", e.Name, e.Key)
						}
					}
					if cursor = p.NextCursor; !p.HasNext {
						break
					}
				}
				want := 162
				if delimiter {
					want = 122
				}
				slices.Sort(seen)
				if len(seen) != want || len(slices.Compact(seen)) != want {
					t.Errorf("folders %v, %s %s: %d entries, want %d", delimiter, column, order, len(seen), want)
				}
			}
		}
	}
	b.do("POST", "/object/list-v2/l", b.service, map[string]any{"cursor": "!"}).fails(t, "400", "InvalidParameter", "InvalidParameter", "Invalid Parameter continuation token")
}

func TestSQLFunctions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for sql, want := range map[string]string{
		"array_to_string(storage.foldername('a/b/c.d.txt'), '|')":    "a|b",
		"storage.foldername('c')::text":                              "{}",
		"storage.filename('a/b/c.d.txt')":                            "c.d.txt",
		"storage.extension('a/b.x/c.d.txt')":                         "txt",
		"storage.extension('a/plain')":                               "plain",
		"storage.get_common_prefix('a/b/c', 'a/', '/')":              "a/b/",
		"coalesce(storage.get_common_prefix('a/b', 'a/', '/'), '-')": "-",
		"storage.allow_any_operation('{object.list}')::text":         "false",
	} {
		var got string
		if err := b.p.Owner.QueryRow(context.Background(), "SELECT "+sql).Scan(&got); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
		if got != want {
			t.Errorf("%s = %q, want %q", sql, got, want)
		}
	}
	if _, err := b.p.Owner.Exec(context.Background(), "DELETE FROM storage.objects"); err == nil {
		t.Error("plain SQL may delete rows and so leave bytes behind")
	}
	var foreign int
	err := b.p.Owner.QueryRow(context.Background(), `SELECT
		(SELECT count(*) FROM pg_class WHERE relnamespace = 'storage'::regnamespace AND relkind = 'r' AND relowner <> 'supabase_storage_admin'::regrole)
		+ (SELECT count(*) FROM pg_proc WHERE pronamespace = 'storage'::regnamespace AND proowner <> 'supabase_storage_admin'::regrole)
		+ (SELECT count(*) FROM pg_class WHERE relnamespace = 'storage'::regnamespace AND relkind = 'r' AND NOT relrowsecurity)`).Scan(&foreign)
	if err != nil || foreign != 0 {
		t.Errorf("%d tables or functions are not the storage admin's or lack row level security: %v", foreign, err)
	}
}
