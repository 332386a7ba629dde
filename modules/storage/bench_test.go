package storage_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

func benchmarkGet(b *testing.B, route string, size int, private bool) {
	s := newBench(b)
	s.bucket("b", map[string]any{"public": !private})
	s.ok("POST", "/object/b/a", s.service, strings.Repeat("x", size))
	token := ""
	if private {
		s.p.Exec(b, `CREATE POLICY see ON storage.objects FOR SELECT TO authenticated USING (true)`)
		_, token = s.user()
	}
	s.http.Transport.(*http.Transport).MaxIdleConnsPerHost = 32
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			got, err := s.req("GET", route, token, nil).try(context.Background())
			if err != nil || got.status != http.StatusOK {
				b.Error(got.status, err)
				return
			}
		}
	})
}

func BenchmarkGetPublic1KiB(b *testing.B)  { benchmarkGet(b, "/object/public/b/a", 1<<10, false) }
func BenchmarkGetPrivate1KiB(b *testing.B) { benchmarkGet(b, "/object/b/a", 1<<10, true) }
func BenchmarkGetPublic1MiB(b *testing.B)  { benchmarkGet(b, "/object/public/b/a", 1<<20, false) }

func BenchmarkPost1KiB(b *testing.B) {
	s := newBench(b)
	s.bucket("b", nil)
	s.http.Transport.(*http.Transport).MaxIdleConnsPerHost = 32
	body := strings.Repeat("x", 1<<10)
	var n atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			got, err := s.req("POST", fmt.Sprintf("/object/b/%d", n.Add(1)), s.service, body).try(context.Background())
			if err != nil || got.status != http.StatusOK {
				b.Error(got.status, got.body, err)
				return
			}
		}
	})
}
