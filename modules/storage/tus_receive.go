package storage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/buffer"
)

// storeTime bounds storing what has come in, even when the client has left: it
// need not send that again.
const storeTime = 2 * time.Minute

// bodyWait is how long a request waits for its turn to send a body.
const bodyWait = 10 * time.Second

func errSizeExceeded() *apierr.Error {
	return errTUS(http.StatusRequestEntityTooLarge, "upload's size exceeded")
}

func errOffset() *apierr.Error {
	return errTUS(http.StatusConflict, "Upload-Offset conflict")
}

// patchUpload takes the bytes from an offset on.
func (m *Module) patchUpload(rq *call, signed bool) error {
	h := rq.Request().Header
	text := h.Get("Upload-Offset")
	if text == "" {
		return errTUS(http.StatusForbidden, "Upload-Offset header required")
	}
	offset, ok := parseDigits(text)
	switch {
	case !ok:
		return errTUS(http.StatusBadRequest, "Invalid upload-offset")
	case h.Get("Content-Type") == "":
		return errTUS(http.StatusForbidden, "Content-Type header required")
	case h.Get("Content-Type") != tusType:
		return errTUS(http.StatusBadRequest, "Invalid content-type")
	}
	up, as, err := rq.findUpload(signed)
	if err != nil {
		return err
	}
	if up.State == store.UploadOpen {
		up, err = m.continueUpload(rq, as, up, offset)
	} else { // what these bytes are is known: policies are asked when the object is made
		up, err = m.makeObjectAt(rq, as, up, offset)
	}
	if err != nil {
		return err
	}
	rq.reportUpload(up)
	return rq.NoContent(http.StatusNoContent)
}

// continueUpload takes bytes into an upload that is open.
func (m *Module) continueUpload(rq *call, as uploadAs, up store.Upload, offset int64) (store.Upload, error) {
	in, err := saidOf(up)
	if err != nil {
		return up, err
	}
	limit, err := m.mayUpload(rq, as, in, up.Length)
	if err != nil {
		return up, err
	}
	if offset != up.Received {
		return up, errOffset()
	}
	if err := declareLength(&up, rq.Request().Header.Get("Upload-Length"), limit); err != nil {
		return up, err
	}
	return m.receive(rq, as, up, limit)
}

// makeObjectAt goes on with an upload whose bytes are all stored.
func (m *Module) makeObjectAt(rq *call, as uploadAs, up store.Upload, offset int64) (store.Upload, error) {
	if offset != up.Received {
		return up, errOffset()
	}
	if up.State == store.UploadDone {
		return up, nil
	}
	return m.makeObject(rq, as, up.ID)
}

// declareLength takes the length that was put off when the upload began.
func declareLength(up *store.Upload, text string, limit int64) error {
	if text == "" {
		return nil
	}
	length, ok := parseDigits(text)
	switch {
	case !ok || length < up.Received || up.Length != nil && *up.Length != length:
		return errTUS(http.StatusBadRequest, "Upload-Length or Upload-Defer-Length header required")
	case length > limit:
		return errTUS(http.StatusRequestEntityTooLarge, "Maximum size exceeded")
	}
	up.Length = &length
	return nil
}

// receive takes the request's body into the upload, of at most limit bytes in all,
// and makes the object once it is whole. It returns the upload as it is then.
func (m *Module) receive(rq *call, as uploadAs, up store.Upload, limit int64) (store.Upload, error) {
	if up.Length != nil {
		limit = *up.Length
	}
	if rq.Request().ContentLength > limit-up.Received {
		return up, errSizeExceeded()
	}
	w := &uploadWriter{m: m, rq: rq, holder: uuid.NewString(), length: up.Length, limit: limit}
	w.buffer = m.resumable.bodies.Buffer(w.room(up))
	defer w.buffer.Free()
	if err := w.admit(); err != nil {
		return up, err
	}
	err := w.take(up)
	if err == nil && w.up.State == store.UploadOpen {
		err = w.run()
	}
	if err != nil || w.up.State == store.UploadOpen {
		return w.up, err
	}
	return m.makeObject(rq, as, up.ID)
}

// enter waits for a place in turns.
func enter(ctx context.Context, turns chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, bodyWait)
	defer cancel()
	select {
	case turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return errTooManyUploads(ctx.Err())
	}
}

func errTooManyUploads(reason error) error {
	return fail(http.StatusTooManyRequests, "SlowDown", "SlowDown", "Too many resumable uploads at once").Because(reason)
}

// uploadWriter stores the bytes of one request.
type uploadWriter struct {
	m      *Module
	rq     *call
	up     store.Upload
	holder string
	// length is the upload's, where it is known; limit the most bytes it may have.
	length *int64
	limit  int64

	// buffer holds what came and is not in a part, and has room for the tail, which
	// comes before that when it is to be stored. at is the offset after them.
	buffer *buffer.Buffer
	tailed bool // the tail is in the buffer
	at     int64
}

// admit waits until there is memory for the first bytes.
func (w *uploadWriter) admit() error {
	ctx, cancel := context.WithTimeout(w.rq.ctx(), bodyWait)
	defer cancel()
	if err := w.buffer.Grow(ctx); err != nil {
		return errTooManyUploads(err)
	}
	return nil
}

// take makes this request the upload's only writer.
func (w *uploadWriter) take(up store.Upload) (err error) {
	ctx, cancel := w.storing()
	defer cancel()
	w.up, err = store.TakeUpload(ctx, w.rq.project.DB.Storage, store.Taking{ID: up.ID, Holder: w.holder, Offset: up.Received, Life: w.m.resumable.life})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return errNoUpload()
	case err != nil:
		return err
	case w.up.Received != up.Received:
		return errOffset()
	}
	w.at = w.up.Received
	return nil
}

// run reads the body to its end, or to where it breaks off, and stores it.
func (w *uploadWriter) run() error {
	defer w.leave()
	w.buffer.Reserve(w.up.TailSize)
	body := &limitedReader{r: requestBody{w.rq.Request().Body}, left: w.limit - w.up.Received}
	for {
		before := w.buffer.Len()
		end, err := w.buffer.Fill(w.rq.ctx(), body)
		if errors.Is(err, errLimit) {
			return errSizeExceeded().Because(err)
		}
		w.at += w.buffer.Len() - before
		switch {
		case w.length != nil && w.at == *w.length:
			return w.seal()
		case w.buffer.Full():
			if failed := w.storePart(); failed != nil {
				return failed
			}
		case end || err != nil:
			if failed := w.storeRest(); failed != nil {
				return failed
			}
		}
		if err != nil {
			return putError(err)
		}
		if end {
			return nil
		}
	}
}

// storing is a time for storing that does not end when the client leaves.
func (w *uploadWriter) storing() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(w.rq.ctx()), storeTime)
}

func (w *uploadWriter) leave() {
	ctx, cancel := w.storing()
	defer cancel()
	if err := store.LeaveUpload(ctx, w.rq.project.DB.Storage, w.up.ID, w.holder); err != nil {
		w.m.log.WarnContext(ctx, "an upload's writer is noted still", "error", err)
	}
}

// share is the least size of a part with which an upload of the greatest size fits
// into the blob store's number of parts, a few to spare.
func (w *uploadWriter) share() int64 { return w.limit/9000 + 1 }

// room is how many bytes the buffer has to take at most: of what is to come no more
// than makes a part.
func (w *uploadWriter) room(up store.Upload) int64 {
	size := max(blob.UnsizedPart, w.share())
	if coming := w.rq.Request().ContentLength; coming >= 0 {
		size = min(size, up.TailSize+coming+1) // one more, to meet the end
	}
	return max(size, up.TailSize+1)
}

// have is how many bytes are in no part.
func (w *uploadWriter) have() int64 {
	if w.up.Tail == nil || w.tailed {
		return w.buffer.Len()
	}
	return w.up.TailSize + w.buffer.Len()
}

// unstored reads what is in no part. The tail is loaded only now: a client that
// sends nothing more holds no memory for what it sent before.
func (w *uploadWriter) unstored(ctx context.Context) (*buffer.Reader, error) {
	if w.up.Tail == nil || w.tailed {
		return w.buffer.Reader(), nil
	}
	r, _, err := w.m.blobs.Get(ctx, *w.up.Tail, nil)
	if err != nil {
		return nil, lost(err)
	}
	defer r.Close()
	if err := w.buffer.Prepend(ctx, r, w.up.TailSize); err != nil {
		return nil, fmt.Errorf("storage: tail of upload: %w", err)
	}
	w.tailed = true
	return w.buffer.Reader(), nil
}

// advance notes what is stored and removes the tail that was before.
func (w *uploadWriter) advance(ctx context.Context, p store.Progress) error {
	if p.State == "" {
		p.State = store.UploadOpen
	}
	if err := store.Advance(ctx, w.rq.project.DB.Storage, w.up.ID, w.holder, p); err != nil {
		return err
	}
	if w.up.Tail != nil && (p.Tail == nil || *p.Tail != *w.up.Tail) {
		if err := w.m.blobs.Delete(ctx, *w.up.Tail); err != nil {
			w.m.log.WarnContext(ctx, "a tail of an upload is left behind", "error", err)
		}
	}
	w.up.Received, w.up.State, w.up.Tail, w.up.TailSize = p.Received, p.State, p.Tail, p.TailSize
	if p.Part != nil {
		w.up.NextPart++
	}
	return nil
}

// storePart makes a part of the buffer.
func (w *uploadWriter) storePart() error {
	ctx, cancel := w.storing()
	defer cancel()
	part, err := w.uploadPart(ctx)
	if err == nil {
		err = w.advance(ctx, store.Progress{Received: w.at, Length: w.length, Part: &part})
	}
	w.buffer.Free()
	return err
}

func (w *uploadWriter) uploadPart(ctx context.Context) (store.Part, error) {
	if err := w.begin(ctx); err != nil {
		return store.Part{}, err
	}
	key, err := w.m.versionKey(w.rq, w.up)
	if err != nil {
		return store.Part{}, err
	}
	data, err := w.unstored(ctx)
	if err != nil {
		return store.Part{}, err
	}
	part, err := w.m.resumable.parts.UploadPart(ctx, blob.Upload{Key: key, ID: *w.up.BlobUpload}, w.up.NextPart, data, w.have())
	return store.Part(part), lost(err)
}

// lost is the error of bytes that somebody else has removed from the blob store.
func lost(err error) error {
	if errors.Is(err, blob.ErrNotFound) {
		return errUploadGone().Because(err)
	}
	return err
}

// begin begins the blob store's upload before the first part.
func (w *uploadWriter) begin(ctx context.Context) error {
	if w.up.BlobUpload != nil {
		return nil
	}
	if w.m.resumable.parts == nil {
		return errors.New("storage: the blob store takes no uploads in parts")
	}
	in, err := saidOf(w.up)
	if err != nil {
		return err
	}
	version := uuid.NewString()
	w.up.Version = &version
	key, err := w.m.versionKey(w.rq, w.up)
	if err != nil {
		return err
	}
	begun, err := w.m.resumable.parts.CreateMultipart(ctx, key, blob.PutOptions{Size: -1, ContentType: in.mimeType})
	if err != nil {
		return err
	}
	w.up.BlobUpload = &begun.ID
	p := store.Progress{Received: w.up.Received, Tail: w.up.Tail, TailSize: w.up.TailSize, Version: &version, BlobUpload: &begun.ID}
	if err := w.advance(ctx, p); err != nil {
		return errors.Join(err, w.m.resumable.parts.AbortMultipart(ctx, begun))
	}
	return nil
}

// storeRest stores what is left in the buffer: as a part where it is enough for one, else as the tail.
func (w *uploadWriter) storeRest() error {
	if w.at == w.up.Received && w.length == nil {
		return nil
	}
	if w.have() >= max(blob.MinPart, w.share()) {
		return w.storePart()
	}
	ctx, cancel := w.storing()
	defer cancel()
	p := store.Progress{Received: w.at, Length: w.length, Tail: w.up.Tail, TailSize: w.up.TailSize}
	if w.at == w.up.Received {
		return w.advance(ctx, p)
	}
	data, err := w.unstored(ctx)
	if err != nil {
		return err
	}
	key := tailPrefix(w.rq.project.StoragePrefix, w.up.ID) + uuid.NewString()
	if _, err := w.m.blobs.Put(ctx, key, data, blob.PutOptions{Size: w.have()}); err != nil {
		return err
	}
	p.Tail, p.TailSize = &key, w.have()
	if err := w.advance(ctx, p); err != nil {
		if errors.Is(err, store.ErrTaken) {
			err = errors.Join(err, w.m.blobs.Delete(ctx, key))
		}
		return err
	}
	return nil
}

// seal stores the last bytes and notes that the upload is whole. Bytes that never
// were more than a part are stored as the object at once. That the last ones came
// is not acknowledged before the object is there.
func (w *uploadWriter) seal() error {
	ctx, cancel := w.storing()
	defer cancel()
	p := store.Progress{Received: w.up.Received, State: store.UploadWhole, Length: w.length}
	switch {
	case w.up.BlobUpload == nil:
		return w.sealAtOnce(ctx, p)
	case w.have() > 0:
		part, err := w.uploadPart(ctx)
		if err != nil {
			return err
		}
		p.Part = &part
	}
	return w.advance(ctx, p)
}

func (w *uploadWriter) sealAtOnce(ctx context.Context, p store.Progress) error {
	in, err := saidOf(w.up)
	if err != nil {
		return err
	}
	version := uuid.NewString()
	w.up.Version = &version
	key, err := w.m.versionKey(w.rq, w.up)
	if err != nil {
		return err
	}
	data, err := w.unstored(ctx)
	if err != nil {
		return err
	}
	info, err := w.m.blobs.Put(ctx, key, data, blob.PutOptions{Size: w.have(), ContentType: in.mimeType})
	if err != nil {
		return err
	}
	p.Version, p.ETag = &version, &info.ETag
	if err := w.advance(ctx, p); err != nil {
		if errors.Is(err, store.ErrTaken) {
			err = errors.Join(err, w.m.blobs.Delete(ctx, key))
		}
		return err
	}
	return nil
}

// versionKey is where the bytes of the upload's object are, or are to be.
func (m *Module) versionKey(rq *call, up store.Upload) (string, error) {
	return blobKey(rq.project.StoragePrefix, up.Bucket, up.Name, deref(up.Version))
}

// tailBucket is where tails are; no bucket's name has a percent sign.
const tailBucket = "%uploads"

// tailPrefix begins the keys of an upload's tails.
func tailPrefix(prefix, id string) string { return prefix + "/" + tailBucket + "/" + id + "/" }
