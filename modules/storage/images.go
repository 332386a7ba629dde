package storage

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"github.com/madbase/madbase/modules/storage/picture"
	"github.com/madbase/madbase/platform/blob"
)

// ImageConfig are the settings of image transformation: by supabase/storage's
// names, and by imgproxy's where that is who has them.
type ImageConfig struct {
	Enabled      bool          `env:"IMAGE_TRANSFORMATION_ENABLED,ENABLE_IMAGE_TRANSFORMATION" default:"true" doc:"Serve /render/image; on unless set, as nothing else is needed for it." group:"storage"`
	MinSize      int           `env:"IMAGE_TRANSFORMATION_LIMIT_MIN_SIZE,IMG_LIMITS_MIN_SIZE" default:"1" doc:"Least width and height of a transformed image in pixels; what is asked for below counts as this." group:"storage"`
	MaxSize      int           `env:"IMAGE_TRANSFORMATION_LIMIT_MAX_SIZE,IMG_LIMITS_MAX_SIZE" default:"2500" doc:"Greatest width and height of a transformed image in pixels; what is asked for beyond counts as this." group:"storage"`
	Timeout      time.Duration `env:"IMGPROXY_REQUEST_TIMEOUT" default:"15s" doc:"How long a transformation may wait and take." group:"storage"`
	Workers      int           `env:"IMGPROXY_WORKERS" default:"0" doc:"Transformations at once; 0 for half of the processors." group:"storage" scope:"process"`
	Queue        int           `env:"IMGPROXY_REQUESTS_QUEUE_SIZE" default:"100" doc:"Transformations that may wait for their turn; further ones are answered with 429." group:"storage" scope:"process"`
	SourceBytes  int64         `env:"IMGPROXY_MAX_SRC_FILE_SIZE" default:"26214400" doc:"Largest object in bytes that is transformed." group:"storage"`
	SourcePixels float64       `env:"IMGPROXY_MAX_SRC_RESOLUTION" default:"50" doc:"Most megapixels of an image that is transformed." group:"storage"`
	Memory       int64         `env:"IMAGE_TRANSFORMATION_MEMORY" default:"402653184" doc:"Most bytes of memory that one transformation may need, estimated before it begins." group:"storage" scope:"process"`
	CacheBytes   int64         `env:"IMAGE_TRANSFORMATION_CACHE_BYTES" default:"33554432" doc:"Bytes of transformed images that a process remembers; 0 for none." group:"storage" scope:"process"`
	Command      string        `env:"IMAGE_TRANSFORMATION_VIPSTHUMBNAIL" default:"vipsthumbnail" doc:"Program that writes WebP and AVIF, looked for on the PATH at start; without it images keep their format." group:"storage" scope:"process"`
}

// Validate names every fault.
func (c ImageConfig) Validate() error {
	if !c.Enabled {
		return nil
	}
	var errs []error
	if c.MinSize < 0 {
		errs = append(errs, errors.New("IMAGE_TRANSFORMATION_LIMIT_MIN_SIZE must not be negative"))
	}
	if c.MaxSize < max(c.MinSize, 1) {
		errs = append(errs, errors.New("IMAGE_TRANSFORMATION_LIMIT_MAX_SIZE must be positive and not below IMAGE_TRANSFORMATION_LIMIT_MIN_SIZE"))
	}
	for _, s := range []struct {
		name string
		bad  bool
	}{
		{"IMGPROXY_REQUEST_TIMEOUT", c.Timeout <= 0},
		{"IMGPROXY_MAX_SRC_FILE_SIZE", c.SourceBytes <= 0},
		{"IMGPROXY_MAX_SRC_RESOLUTION", c.SourcePixels <= 0},
		{"IMAGE_TRANSFORMATION_MEMORY", c.Memory <= 0},
	} {
		if s.bad {
			errs = append(errs, errors.New(s.name+" must be positive"))
		}
	}
	if c.Workers < 0 {
		errs = append(errs, errors.New("IMGPROXY_WORKERS must not be negative"))
	}
	if c.Queue < 0 {
		errs = append(errs, errors.New("IMGPROXY_REQUESTS_QUEUE_SIZE must not be negative"))
	}
	if c.CacheBytes < 0 {
		errs = append(errs, errors.New("IMAGE_TRANSFORMATION_CACHE_BYTES must not be negative"))
	}
	return errors.Join(errs...)
}

// side is the width or height that is made when n is asked for.
func (c ImageConfig) side(n int) int { return min(max(n, c.MinSize), c.MaxSize) }

// images makes transformed images of stored objects.
type images struct {
	cfg    ImageConfig
	blobs  blob.Store
	log    *slog.Logger
	maker  picture.Transformer
	gate   gate
	recent shelf
}

func newImages(cfg ImageConfig, deps Deps) *images {
	workers := cfg.Workers
	if workers == 0 {
		workers = max(runtime.GOMAXPROCS(0)/2, 1)
	}
	return &images{
		cfg: cfg, blobs: deps.Blobs, log: deps.Log,
		maker:  picture.Transformer{MaxPixels: int64(cfg.SourcePixels * 1e6), MaxMemory: cfg.Memory},
		gate:   gate{turns: make(chan struct{}, workers), places: make(chan struct{}, workers+cfg.Queue)},
		recent: shelf{room: cfg.CacheBytes, newest: list.New(), items: map[string]*list.Element{}},
	}
}

// findCommand looks for vipsthumbnail.
func (im *images) findCommand() {
	if !im.cfg.Enabled || im.cfg.Command == "" {
		return
	}
	path, err := exec.LookPath(im.cfg.Command)
	if err != nil {
		im.log.Debug("images are not written as WebP or AVIF", "error", err)
		return
	}
	im.maker.Command = path
}

// writesWebP reports whether there is a program that does.
func (im *images) writesWebP() bool { return im.maker.Command != "" }

var (
	// errBusy means that too many transformations wait.
	errBusy = errors.New("storage: too many transformations")
	// errSourceSize means that the object has more bytes than may be transformed.
	errSourceSize = errors.New("storage: object is too large to transform")
)

// render makes the image of the bytes under key, or remembers it. A version's
// bytes never change, so what was made of it is right for good.
func (im *images) render(ctx context.Context, key string, o picture.Options) (picture.Result, error) {
	name := fmt.Sprintf("%s %+v", key, o)
	if made, ok := im.recent.get(name); ok {
		return made, nil
	}
	leave, err := im.gate.enter(ctx)
	if err != nil {
		return picture.Result{}, err
	}
	defer leave()
	if made, ok := im.recent.get(name); ok { // by the one before
		return made, nil
	}
	source, err := im.read(ctx, key)
	if err != nil {
		return picture.Result{}, err
	}
	made, err := im.maker.Transform(ctx, source, o)
	if err != nil {
		return made, fmt.Errorf("storage: transform: %w", err)
	}
	if made.Fault != nil {
		im.log.WarnContext(ctx, "an image keeps its format", "wanted", made.Wanted, "error", made.Fault)
		return made, nil
	}
	im.recent.put(name, made)
	return made, nil
}

// read returns the whole object.
func (im *images) read(ctx context.Context, key string) ([]byte, error) {
	body, info, err := im.blobs.Get(ctx, key, nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if info.Size > im.cfg.SourceBytes {
		return nil, errSourceSize
	}
	source := make([]byte, info.Size)
	if _, err := io.ReadFull(body, source); err != nil {
		return nil, fmt.Errorf("storage: read object: %w", err)
	}
	return source, nil
}

// gate lets few work while some wait.
type gate struct {
	// turns are held by those who work, places by those who wait or work.
	turns, places chan struct{}
}

// enter waits for a turn, which ends with leave. errBusy when there is no place to wait, or the context's error.
func (g gate) enter(ctx context.Context) (leave func(), err error) {
	select {
	case g.places <- struct{}{}:
	default:
		return nil, errBusy
	}
	select {
	case g.turns <- struct{}{}:
		return func() { <-g.turns; <-g.places }, nil
	case <-ctx.Done():
		<-g.places
		return nil, ctx.Err()
	}
}

// shelf remembers images within a number of bytes; the one unused for longest makes room.
type shelf struct {
	mu         sync.Mutex
	room, used int64 // bytes
	newest     *list.List
	items      map[string]*list.Element
}

// shelved is one image on the shelf.
type shelved struct {
	name string
	made picture.Result
}

// size counts what an image takes beside its bytes too.
func (s shelved) size() int64 {
	const overhead = 512
	return int64(cap(s.made.Bytes)+len(s.name)) + overhead
}

func (s *shelf) get(name string) (picture.Result, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.items[name]
	if !ok {
		return picture.Result{}, false
	}
	s.newest.MoveToFront(e)
	return e.Value.(*shelved).made, true
}

// put keeps made, unless it would take more than a quarter of all room.
func (s *shelf) put(name string, made picture.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	item := &shelved{name, made}
	if _, ok := s.items[name]; ok || item.size() > s.room/4 {
		return
	}
	s.items[name] = s.newest.PushFront(item)
	for s.used += item.size(); s.used > s.room; {
		oldest := s.newest.Remove(s.newest.Back()).(*shelved)
		delete(s.items, oldest.name)
		s.used -= oldest.size()
	}
}
