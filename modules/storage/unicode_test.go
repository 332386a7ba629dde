package storage_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
)

// Names beyond ASCII go through every route.
func TestUnicodeNamesEverywhere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", map[string]any{"public": true})
	names := []string{"Äpfel/ä.txt", "Äpfel/ö.txt", "Äpfel/日本/語.txt", "z.txt", "Ж.txt", "🍏.txt"}
	for _, name := range names {
		b.ok("POST", "/object/docs/"+url.PathEscape(name), b.service, name)
	}
	for _, order := range []string{"asc", "desc"} {
		for _, delimiter := range []bool{false, true} {
			var seen []string
			for cursor, more := "", true; more; {
				var page struct {
					HasNext    bool
					NextCursor string
					Folders    []struct{ Name string }
					Objects    []struct{ Name string }
				}
				b.ok("POST", "/object/list-v2/docs", b.service, map[string]any{
					"limit": 1, "with_delimiter": delimiter, "cursor": cursor, "sortBy": map[string]any{"column": "name", "order": order},
				}).json(t, &page)
				for _, o := range append(page.Folders, page.Objects...) {
					seen = append(seen, o.Name)
				}
				cursor, more = page.NextCursor, page.HasNext
			}
			want := []string{"z.txt", "Äpfel/ä.txt", "Äpfel/ö.txt", "Äpfel/日本/語.txt", "Ж.txt", "🍏.txt"}
			if delimiter {
				want = []string{"z.txt", "Äpfel/", "Ж.txt", "🍏.txt"}
			}
			if order == "desc" {
				slices.Reverse(want)
			}
			if !slices.Equal(seen, want) {
				t.Errorf("%s, delimiter %v: %q, want %q", order, delimiter, seen, want)
			}
		}
	}
	var entries []struct{ Name string }
	b.ok("POST", "/object/list/docs", b.service, map[string]any{"prefix": "Äpfel", "search": "Ö"}).json(t, &entries)
	if len(entries) != 1 || entries[0].Name != "ö.txt" {
		t.Errorf("%q", entries)
	}
	var signed struct{ SignedURL string }
	b.ok("POST", "/object/sign/docs/"+url.PathEscape(names[2]), b.service, map[string]any{"expiresIn": 60}).json(t, &signed)
	address, err := url.Parse(signed.SignedURL) // as storage-js encodes it
	if err != nil {
		t.Fatal(err)
	}
	if got := b.ok("GET", address.EscapedPath()+"?"+address.RawQuery, "", nil); got.body != names[2] {
		t.Errorf("%q", got.body)
	}
	b.ok("POST", "/object/copy", b.service, map[string]any{"bucketId": "docs", "sourceKey": "🍏.txt", "destinationKey": "🍎/é.txt"})
	b.ok("POST", "/object/move", b.service, map[string]any{"bucketId": "docs", "sourceKey": "🍎/é.txt", "destinationKey": "é.txt"})
	got := b.ok("GET", "/object/public/docs/"+url.PathEscape("é.txt")+"?download="+url.QueryEscape("é.txt"), "", nil)
	if want := "attachment; filename=%C3%A9.txt; filename*=UTF-8''%C3%A9.txt"; got.body != "🍏.txt" || got.header.Get("Content-Disposition") != want+";" && got.header.Get("Content-Disposition") != want {
		t.Errorf("%q %q", got.body, got.header.Get("Content-Disposition"))
	}
	path := b.begin(b.service, "4", about("bucketName", "docs", "objectName", "ф/х.txt"))
	if got := b.patch(path, b.service, 0, "0123"); got.status != http.StatusNoContent {
		t.Errorf("%d %s", got.status, got.body)
	}
	var gone []struct{ Name string }
	b.ok("DELETE", "/object/docs", b.service, map[string]any{"prefixes": append(names, "é.txt", "ф/х.txt")}).json(t, &gone)
	if len(gone) != 8 || b.rows() != 0 || b.stored() != 0 {
		t.Errorf("%d gone, %d rows, %d blobs", len(gone), b.rows(), b.stored())
	}
}
