package storage_test

import (
	"context"
	"fmt"
	"image"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/storage"
	"github.com/madbase/madbase/platform/blob/mem"
)

// signed asks for a signed URL and returns it.
func (b *bench) signed(path, token string, body map[string]any) string {
	b.t.Helper()
	var answer struct{ SignedURL string }
	b.ok("POST", "/object/sign/"+path, token, body).json(b.t, &answer)
	return answer.SignedURL
}

func TestRenderSigned(t *testing.T) {
	t.Parallel()
	b := newBench(t, withImages)
	b.bucket("pictures", nil)
	b.upload("pictures/a.png", encoded(t, halves(80, 40), "png"))
	b.upload("pictures/b.png", encoded(t, halves(80, 40), "png"))
	link := b.signed("pictures/a.png", b.service, map[string]any{"expiresIn": 60, "transform": map[string]any{"width": 20, "height": 20, "quality": 60}})
	token, found := strings.CutPrefix(link, "/render/image/sign/pictures/a.png?token=")
	if !found {
		t.Fatal(link)
	}
	got := b.do("GET", link, "", nil)
	img, _ := got.picture(t)
	if got.header.Get("X-Transformations") != "height:20,width:20,resizing_type:fill,quality:60" || img.Bounds().Dx() != 20 {
		t.Errorf("%v %v", got.header, img.Bounds())
	}
	if got.header.Get("Expires") == "" || got.header.Get("Cache-Control") != "" {
		t.Errorf("%v", got.header)
	}
	// Nothing beside the token has a say.
	img, _ = b.do("GET", link+"&width=80&height=40&resize=fill&format=origin", "", nil).picture(t)
	if img.Bounds().Size() != image.Pt(20, 20) {
		t.Errorf("changed to %v", img.Bounds())
	}
	for path, want := range map[string]string{
		"/render/image/sign/pictures/b.png?token=" + token: "Invalid signature",
		"/object/sign/pictures/a.png?token=" + token:       "Token is scoped for a transformed image",
	} {
		b.do("GET", path, "", nil).fails(t, "400", "InvalidSignature", "InvalidSignature", want)
		if head := b.do("HEAD", path, "", nil); head.status != http.StatusBadRequest {
			t.Errorf("HEAD %s: %d", path, head.status)
		}
	}
	b.do("GET", link[:len(link)-2]+"xx", "", nil).fails(t, "400", "InvalidJWT", "InvalidJWT", "signature verification failed")
	b.do("GET", "/render/image/sign/pictures/a.png", "", nil).
		fails(t, "400", "Error", "InvalidRequest", "querystring must have required property 'token'")

	full := b.signed("pictures/a.png", b.service, map[string]any{"expiresIn": 60, "transform": map[string]any{
		"width": 20, "height": 1000, "resize": "cover", "gravity": "fp", "x_offset": 0, "y_offset": 1, "format": "webp",
	}})
	if words := b.do("GET", full, "", nil).header.Get("X-Transformations"); words != "height:100,width:20,resizing_type:fill,format:webp,gravity:fp:0:1" {
		t.Error(words)
	}
	for _, transform := range []map[string]any{nil, {}, {"format": "origin"}, {"width": 0}} {
		body := map[string]any{"expiresIn": 60}
		if transform != nil {
			body["transform"] = transform
		}
		if link := b.signed("pictures/a.png", b.service, body); !strings.HasPrefix(link, "/object/sign/pictures/a.png?token=") {
			t.Errorf("%v: %s", transform, link)
		}
	}
	b.do("POST", "/object/sign/pictures/a.png", b.service, map[string]any{"expiresIn": 60, "transform": map[string]any{"width": -1}}).
		fails(t, "400", "Error", "InvalidRequest", "body/transform/width must be >= 0")
}

func TestRenderObeysPolicies(t *testing.T) {
	t.Parallel()
	b := newBench(t, withImages)
	b.bucket("private", nil)
	b.ownFolder("private")
	id, owner := b.user()
	_, other := b.user()
	path := "private/" + id + "/a.png"
	b.upload(path, encoded(t, halves(40, 40), "png"))
	render := "/render/image/authenticated/" + path + "?width=10"
	b.do("GET", render, owner, nil).picture(t)
	b.do("GET", render, other, nil).fails(t, "404", "not_found", "NoSuchKey", "Object not found") // although it is remembered now
	b.do("GET", render, b.anon, nil).fails(t, "404", "not_found", "NoSuchKey", "Object not found")
	b.do("GET", render, "", nil).fails(t, "400", "Error", "InvalidRequest", "headers must have required property 'authorization'")
	b.do("GET", "/render/image/public/"+path, owner, nil).fails(t, "404", "Bucket not found", "NoSuchBucket", "Bucket not found")
	b.do("POST", "/object/sign/"+path, other, map[string]any{"expiresIn": 60, "transform": map[string]any{"width": 10}}).
		fails(t, "404", "not_found", "NoSuchKey", "Object not found")
	b.do("GET", b.signed(path, owner, map[string]any{"expiresIn": 60, "transform": map[string]any{"width": 10}}), "", nil).picture(t)

	b.p.Exec(t, `CREATE POLICY by_operation ON storage.objects FOR SELECT TO authenticated USING (storage.operation() = 'storage.render.image_authenticated')`)
	b.do("GET", render, other, nil).picture(t)
	b.do("GET", "/object/authenticated/"+path, other, nil).fails(t, "404", "not_found", "NoSuchKey", "Object not found")
}

func TestRenderChecksItsParameters(t *testing.T) {
	t.Parallel()
	b := newBench(t, withImages)
	b.bucket("pictures", map[string]any{"public": true})
	b.upload("pictures/a.png", encoded(t, halves(4, 4), "png"))
	for query, want := range map[string]string{
		"width=-1":                             "querystring/width must be >= 0",
		"height=x":                             "querystring/height must be integer",
		"width=1.5":                            "querystring/width must be integer",
		"resize=crop":                          "querystring/resize must be equal to one of the allowed values",
		"format=png":                           "querystring/format must be equal to one of the allowed values",
		"quality=19":                           "querystring/quality must be >= 20",
		"quality=101":                          "querystring/quality must be <= 100",
		"gravity=up":                           "querystring/gravity must be equal to one of the allowed values",
		"gravity=fp":                           "querystring must have required property 'x_offset'",
		"gravity=fp&x_offset=2&y_offset=0":     "querystring/x_offset must be <= 1",
		"gravity=no&x_offset=Infinity":         "querystring/x_offset must be number",
		"gravity=fp&x_offset=0.5&y_offset=-.1": "querystring/y_offset must be >= 0",
	} {
		b.do("GET", "/render/image/public/pictures/a.png?"+query, "", nil).fails(t, "400", "Error", "InvalidRequest", want)
	}
	b.do("GET", "/render/image/public/pictures/none.png", "", nil).fails(t, "404", "not_found", "NoSuchKey", "Object not found")
	b.do("GET", "/render/image/public/pictures/"+url.PathEscape("[x]"), "", nil).fails(t, "400", "InvalidKey", "InvalidKey", "Invalid key: [x]")
}

func TestRenderHeadersAndCache(t *testing.T) {
	t.Parallel()
	store := &slow{Store: mem.New()}
	b := newBenchOn(t, store, withImages)
	b.bucket("pictures", map[string]any{"public": true})
	put := func(img image.Image) {
		t.Helper()
		got := b.req("POST", "/object/pictures/a.png", b.service, encoded(t, img, "png")).
			set("X-Upsert", "true").set("Cache-Control", "max-age=60").set("Content-Type", "image/png").send()
		if got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	put(halves(40, 40))
	const path = "/render/image/public/pictures/a.png?width=10"
	first := b.do("GET", path+"&download=b.png", "", nil)
	plain := b.do("HEAD", "/object/public/pictures/a.png", "", nil)
	for _, name := range []string{"ETag", "Last-Modified", "Cache-Control"} {
		if got := first.header.Get(name); got == "" || got != plain.header.Get(name) {
			t.Errorf("%s: %q, of the object %q", name, got, plain.header.Get(name))
		}
	}
	if got := first.header.Get("Content-Disposition"); !strings.Contains(got, "b.png") {
		t.Error(got)
	}
	if second := b.do("GET", path, "", nil); second.body != first.body || store.gets.Load() != 1 {
		t.Errorf("read %d times", store.gets.Load())
	}
	same := b.req("GET", path, "", nil).set("If-None-Match", first.header.Get("ETag")).send()
	if same.status != http.StatusNotModified || same.body != "" {
		t.Errorf("%d", same.status)
	}
	put(halves(20, 40))
	img, _ := b.req("GET", path, "", nil).set("If-None-Match", first.header.Get("ETag")).send().picture(t)
	if img.Bounds().Size() != image.Pt(10, 20) {
		t.Errorf("%v", img.Bounds())
	}
	for width := 1; width <= 40; width++ { // more than there is room for
		b.do("GET", fmt.Sprintf("/render/image/public/pictures/a.png?width=20&height=40&quality=%d", 20+width), "", nil).picture(t)
	}
}

func TestRenderTakesTurns(t *testing.T) {
	t.Parallel()
	store := &slow{Store: mem.New()}
	b := newBenchOn(t, store, withImages, func(c *storage.Config) {
		c.Images.Workers, c.Images.Queue, c.Images.Timeout = 1, 1, 5*time.Second
	})
	b.bucket("pictures", map[string]any{"public": true})
	b.upload("pictures/a.png", encoded(t, halves(40, 40), "png"))
	closed := make(chan struct{})
	store.wait.Store(&closed)
	before := store.gets.Load()
	answers := make(chan reply, 3)
	ask := func(ctx context.Context, width int) {
		got, _ := b.req("GET", fmt.Sprintf("/render/image/public/pictures/a.png?width=%d", width), "", nil).try(ctx)
		answers <- got
	}
	// One works. Of two more one waits and the other has no place.
	ctx, leave := context.WithCancel(context.Background())
	go ask(ctx, 11)
	until(t, func() bool { return store.gets.Load() == before+1 })
	go ask(context.Background(), 12)
	go ask(context.Background(), 13)
	full := <-answers
	full.fails(t, "429", "Too Many Requests", "SlowDown", "Too many requests")
	if full.status != http.StatusTooManyRequests || full.header.Get("Retry-After") == "" {
		t.Errorf("%d %v", full.status, full.header)
	}
	b.ok("GET", "/object/info/public/pictures/a.png", "", nil) // other requests have nothing to wait for
	// The client of the first goes away, which gives its turn to the one that waits.
	leave()
	<-answers
	until(t, func() bool { return store.gets.Load() == before+2 })
	close(closed)
	got := <-answers
	got.picture(t)
}

func TestRenderEndsInTime(t *testing.T) {
	t.Parallel()
	store := &slow{Store: mem.New()}
	b := newBenchOn(t, store, withImages, func(c *storage.Config) { c.Images.Timeout = 50 * time.Millisecond })
	b.bucket("pictures", map[string]any{"public": true})
	b.upload("pictures/a.png", encoded(t, halves(4, 4), "png"))
	closed := make(chan struct{})
	store.wait.Store(&closed)
	b.do("GET", "/render/image/public/pictures/a.png", "", nil).fails(t, "408", "InvalidRequest", "InvalidRequest", "Image request timed out")
}

func TestRenderCanBeOff(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("pictures", map[string]any{"public": true})
	b.upload("pictures/a.png", encoded(t, halves(4, 4), "png"))
	got := b.do("GET", "/render/image/public/pictures/a.png", "", nil)
	got.fails(t, "404", "Not Found", "InvalidRequest", "Route GET:/render/image/public/pictures/a.png not found")
	if link := b.signed("pictures/a.png", b.service, map[string]any{"expiresIn": 60, "transform": map[string]any{"width": 2}}); !strings.HasPrefix(link, "/object/sign/") {
		t.Error(link)
	}
}

func TestImageSettingsAreChecked(t *testing.T) {
	t.Parallel()
	c := storage.ImageConfig{Enabled: true, MinSize: 5, MaxSize: 4, Workers: -1, Queue: -1, CacheBytes: -1}
	err := c.Validate()
	for _, name := range []string{
		"IMAGE_TRANSFORMATION_LIMIT_MAX_SIZE", "IMGPROXY_REQUEST_TIMEOUT", "IMGPROXY_MAX_SRC_FILE_SIZE", "IMGPROXY_MAX_SRC_RESOLUTION",
		"IMAGE_TRANSFORMATION_MEMORY", "IMGPROXY_WORKERS", "IMGPROXY_REQUESTS_QUEUE_SIZE", "IMAGE_TRANSFORMATION_CACHE_BYTES",
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
}

// until waits for what must come to be.
func until(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to be")
		}
		<-time.After(5 * time.Millisecond)
	}
}

// A token of the real service has its words, which may have been written by another version.
func TestRenderTakesTokensOfTheRealService(t *testing.T) {
	t.Parallel()
	b := newBench(t, withImages)
	b.bucket("pictures", nil)
	b.upload("pictures/a.png", encoded(t, halves(80, 40), "png"))
	for words, want := range map[string]string{
		"height:20,width:20,resize:undefined":          "height:20,width:20,resizing_type:fill",
		"width:20,resize:contain,quality:x,blur:3,::,": "width:20,resizing_type:fit",
		"width:-20,gravity:fp:0.5":                     "gravity:fp:0.5:0",
	} {
		payload := map[string]any{
			"transformations": words, "url": "pictures/a.png", "scope": "download",
			"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
		}
		got := b.do("GET", "/render/image/sign/pictures/a.png?token="+b.token(payload), "", nil)
		got.picture(t)
		if have := got.header.Get("X-Transformations"); have != want {
			t.Errorf("%s: %s", words, have)
		}
	}
}
