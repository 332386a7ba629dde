package storage_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/storage"
	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/fs"
)

func TestOnlyOneOfManyCreatesAnObject(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", nil)
	const writers = 8
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		wins []string
	)
	for i := range writers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			body := fmt.Sprintf("writer %d", i)
			got, err := b.req("POST", "/object/docs/same", b.service, body).try(context.Background())
			if err != nil {
				t.Error(err)
			}
			if got.status == http.StatusOK {
				mu.Lock()
				defer mu.Unlock()
				wins = append(wins, body)
				return
			}
			got.fails(t, "409", "Duplicate", "KeyAlreadyExists", "The resource already exists")
		}()
	}
	wg.Wait()
	if len(wins) != 1 {
		t.Fatalf("%d writers were told that they created it", len(wins))
	}
	if got := b.ok("GET", "/object/docs/same", b.service, nil).body; got != wins[0] {
		t.Errorf("%q is stored, %q was acknowledged", got, wins[0])
	}
	if b.stored() != 1 {
		t.Errorf("%d blobs", b.stored())
	}
}

func TestOverwritesNeverBreakReaders(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", map[string]any{"public": true})
	b.ok("POST", "/object/docs/same", b.service, strings.Repeat("0", 1000))
	var readers, writers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				got, err := b.req("GET", "/object/public/docs/same", "", nil).try(context.Background())
				if err != nil || got.status != http.StatusOK || len(got.body) != 1000 || strings.Trim(got.body, got.body[:1]) != "" {
					t.Errorf("a reader got %d %.60q: %v", got.status, got.body, err)
					return
				}
			}
		}()
	}
	for i := range 3 {
		writers.Add(1)
		go func() {
			defer writers.Done()
			for range 15 {
				got, err := b.req("PUT", "/object/docs/same", b.service, strings.Repeat(fmt.Sprint(i), 1000)).try(context.Background())
				if err != nil || got.status != http.StatusOK {
					t.Errorf("a writer got %d %s: %v", got.status, got.body, err)
				}
			}
		}()
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	if b.stored() != 1 || b.rows() != 1 {
		t.Errorf("%d blobs, %d rows", b.stored(), b.rows())
	}
}

// send writes a raw request that ends before its body is whole.
func (b *bench) abort(head, body string) {
	b.t.Helper()
	host := strings.TrimSuffix(strings.TrimPrefix(b.url, "http://"), prefix)
	conn, err := net.Dial("tcp", host)
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n%s", head, b.service, body)
	_ = conn.(*net.TCPConn).CloseWrite()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
		_, _ = io.Copy(io.Discard, response.Body)
		if response.StatusCode == http.StatusOK {
			b.t.Errorf("%s: an upload that broke off was acknowledged", head)
		}
		_ = response.Body.Close()
	}
}

func TestBrokenUploadsLeaveNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", nil)
	b.ok("POST", "/object/docs/kept", b.service, "kept")
	half := strings.Repeat("x", 1000)
	start := "--B\r\nContent-Disposition: form-data; name=\"\"; filename=\"a\"\r\nContent-Type: text/plain\r\n\r\n"
	b.abort("PUT "+prefix+"/object/docs/kept HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 2000", half)
	b.abort("POST "+prefix+"/object/docs/new HTTP/1.1\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked", "3e8\r\n"+half+"\r\n")
	b.abort("POST "+prefix+"/object/docs/new HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: 5000", start+half)
	// The whole body is there, its form is not.
	b.abort(fmt.Sprintf("POST %s/object/docs/new HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: %d", prefix, len(start+half)), start+half)
	if b.stored() != 1 || b.rows() != 1 {
		t.Errorf("%d blobs, %d rows", b.stored(), b.rows())
	}
	if got := b.ok("GET", "/object/docs/kept", b.service, nil).body; got != "kept" {
		t.Errorf("%.20q", got)
	}
}

func TestBucketDeletedUnderAnUpload(t *testing.T) {
	t.Parallel()
	folder, err := fs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folder.Close() })
	store := &gatedStore{Store: folder, reached: make(chan struct{}, 16), open: make(chan struct{})}
	b := newBenchOn(t, store)
	b.bucket("docs", nil)
	done := make(chan reply)
	go func() {
		got, err := b.req("POST", "/object/docs/a", b.service, "late").try(context.Background())
		if err != nil {
			t.Error(err)
		}
		done <- got
	}()
	<-store.reached
	b.ok("DELETE", "/bucket/docs", b.service, nil)
	close(store.open)
	got := <-done
	got.fails(t, "404", "InvalidRequest", "InvalidRequest", "The related resource does not exist")
	if b.stored() != 0 || b.rows() != 0 {
		t.Errorf("%d blobs, %d rows", b.stored(), b.rows())
	}
}

// A move whose object is overwritten while its bytes are copied must not win over the newer bytes.
func TestMoveOfAnObjectThatIsOverwritten(t *testing.T) {
	t.Parallel()
	folder, err := fs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folder.Close() })
	store := &gatedStore{Store: folder, reached: make(chan struct{}, 16), open: make(chan struct{}), copies: true}
	b := newBenchOn(t, store)
	b.bucket("docs", nil)
	b.ok("POST", "/object/docs/a", b.service, "old")
	done := make(chan reply)
	go func() {
		got, err := b.req("POST", "/object/move", b.service, map[string]any{"bucketId": "docs", "sourceKey": "a", "destinationKey": "b"}).try(context.Background())
		if err != nil {
			t.Error(err)
		}
		done <- got
	}()
	<-store.reached
	b.ok("PUT", "/object/docs/a", b.service, "newer")
	close(store.open)
	got := <-done
	got.fails(t, "423", "ResourceLocked", "ResourceLocked", "The resource is locked")
	if got := b.ok("GET", "/object/docs/a", b.service, nil).body; got != "newer" || b.stored() != 1 {
		t.Errorf("%q, %d blobs", got, b.stored())
	}
}

// Slow clients cost memory at most: more of them than there are connections keep nobody waiting.
func TestSlowUploadsHoldNoConnection(t *testing.T) {
	t.Parallel()
	folder, err := fs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folder.Close() })
	store := &gatedStore{Store: folder, reached: make(chan struct{}, 16), open: make(chan struct{})}
	b := newBenchOn(t, store)
	b.bucket("docs", nil)
	const uploads = 10
	var wg sync.WaitGroup
	for i := range uploads {
		wg.Add(1)
		go func() {
			defer wg.Done()
			got, err := b.req("POST", fmt.Sprintf("/object/docs/%d", i), b.service, "slow").try(context.Background())
			if err != nil || got.status != http.StatusOK {
				t.Errorf("%d %s: %v", got.status, got.body, err)
			}
		}()
	}
	for range uploads {
		<-store.reached
	}
	if api, own := b.p.DB.API.Stat().AcquiredConns(), b.p.DB.Storage.Stat().AcquiredConns(); api != 0 || own != 0 {
		t.Errorf("%d and %d connections are held", api, own)
	}
	b.ok("GET", "/bucket", b.service, nil)
	close(store.open)
	wg.Wait()
	if b.stored() != uploads {
		t.Errorf("%d blobs", b.stored())
	}
}

// gatedStore holds a Put, or a Copy, until it is opened.
type gatedStore struct {
	blob.Store
	copies        bool
	reached, open chan struct{}
}

func (g *gatedStore) Put(ctx context.Context, key string, r io.Reader, o blob.PutOptions) (blob.Info, error) {
	if !g.copies {
		g.reached <- struct{}{}
		<-g.open
	}
	return g.Store.Put(ctx, key, r, o)
}

func (g *gatedStore) Copy(ctx context.Context, src, dst string) (blob.Info, error) {
	info, err := g.Store.Copy(ctx, src, dst)
	if g.copies {
		g.reached <- struct{}{}
		<-g.open
	}
	return info, err
}

// A project's trigger runs with the rights that it has on Supabase.
func TestTriggerOfTheProjectMayWriteToItsTables(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", nil)
	b.p.Exec(t, `CREATE TABLE public.uploads (name text, size bigint)`)
	b.p.Exec(t, `CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN INSERT INTO public.uploads VALUES (new.name, (new.metadata ->> 'size')::bigint); RETURN new; END $$`)
	b.p.Exec(t, `CREATE TRIGGER note AFTER INSERT ON storage.objects FOR EACH ROW EXECUTE FUNCTION public.note()`)
	b.p.Exec(t, `CREATE POLICY write ON storage.objects FOR INSERT TO authenticated WITH CHECK (true)`)
	_, alice := b.user()
	b.ok("POST", "/object/docs/a", alice, "four")
	var (
		n    int
		size int64
	)
	if err := b.p.Owner.QueryRow(context.Background(), "SELECT count(*), max(size) FROM public.uploads").Scan(&n, &size); err != nil || n != 1 || size != 4 {
		t.Error(n, size, err)
	}
}

// Not parallel: it looks at the memory of the whole process.
func TestLargeTransfersAreFlatInMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("moves 256 MiB twice")
	}
	const size = 256 << 20
	b := newBench(t, func(c *storage.Config) { c.FileSizeLimit = size })
	b.bucket("big", nil)
	runtime.GC()
	var before, peak runtime.MemStats
	runtime.ReadMemStats(&before)
	stop, done := make(chan struct{}), make(chan uint64)
	go func() {
		most := uint64(0)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				done <- most
				return
			case <-tick.C:
				runtime.ReadMemStats(&peak)
				most = max(most, peak.HeapInuse)
			}
		}
	}()
	head := "--B\r\nContent-Disposition: form-data; name=\"\"; filename=\"a\"\r\nContent-Type: application/octet-stream\r\n\r\n"
	for kind, body := range map[string]io.Reader{
		"application/octet-stream":        io.LimitReader(zeros{}, size),
		"multipart/form-data; boundary=B": io.MultiReader(strings.NewReader(head), io.LimitReader(zeros{}, size), strings.NewReader("\r\n--B--\r\n")),
	} {
		got := b.req("PUT", "/object/big/a", b.service, body).set("Content-Type", kind).send()
		if got.status != http.StatusOK {
			t.Fatal(got.body)
		}
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+"/object/big/a", nil)
		request.Header.Set("Authorization", "Bearer "+b.service)
		response, err := b.http.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if n != size || err != nil {
			t.Fatal(n, err)
		}
	}
	close(stop)
	if most := <-done; most > before.HeapInuse+48<<20 {
		t.Errorf("the heap grew from %d to %d MiB", before.HeapInuse>>20, most>>20)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
