package storage

import (
	"context"
	"encoding/json"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/project"
)

// event is the payload of an object's event, by supabase/storage's names.
type event struct {
	Tenant       tenant          `json:"tenant"`
	Name         string          `json:"name"`
	Version      *string         `json:"version,omitempty"`
	BucketID     string          `json:"bucketId"`
	Metadata     json.RawMessage `json:"metadata"`
	RequestID    string          `json:"reqId,omitempty"`
	SBRequestID  string          `json:"sbReqId,omitempty"`
	UploadType   string          `json:"uploadType,omitempty"`
	FormerObject *formerObject   `json:"oldObject,omitempty"`
}

// formerObject is where an object was before it was moved.
type formerObject struct {
	Name      string  `json:"name"`
	BucketID  string  `json:"bucketId"`
	RequestID string  `json:"reqId,omitempty"`
	Version   *string `json:"version,omitempty"`
}

// tenant says whose event it is, and under which host the request came.
type tenant struct {
	Ref  string `json:"ref"`
	Host string `json:"host,omitempty"`
}

// event returns what a request's events have in common.
func (rq *call) event(bucket, name string, version *string, metadata json.RawMessage) event {
	header := rq.Request().Header
	return event{
		Tenant: tenant{rq.project.Ref, header.Get("X-Forwarded-Host")},
		Name:   name, BucketID: bucket, Version: version, Metadata: metadata,
		RequestID: httpx.RequestID(rq.ctx()), SBRequestID: header.Get("Sb-Request-Id"),
	}
}

func (e event) news(kind string) store.News {
	text, _ := json.Marshal(e) // strings, and JSON that came from PostgreSQL
	return store.News{Kind: kind, Payload: text}
}

// written is the news of an object about to be written; an empty kind says that it
// was uploaded. Nil without a webhook.
func (m *Module) written(rq *call, o store.NewObject, kind string) *store.News {
	if !m.outbox.Webhook() {
		return nil
	}
	e := rq.event(o.Bucket, o.Name, &o.Version, o.Metadata)
	e.UploadType = rq.via
	news := e.news(kind)
	return &news
}

// removed are the news of objects that are deleted.
func (m *Module) removed(rq *call, gone []store.Object) []store.News {
	if !m.outbox.Webhook() {
		return nil
	}
	news := make([]store.News, len(gone))
	for i, o := range gone {
		news[i] = rq.event(o.BucketID, o.Name, o.Version, o.Metadata).news(store.RemovedDelete)
	}
	return news
}

// moved are the news of an object that got another name.
func (m *Module) moved(rq *call, from store.Object, to store.NewObject) []store.News {
	if !m.outbox.Webhook() {
		return nil
	}
	gone := rq.event(from.BucketID, from.Name, from.Version, from.Metadata)
	came := rq.event(to.Bucket, to.Name, &to.Version, to.Metadata)
	came.UploadType = rq.via
	came.FormerObject = &formerObject{from.Name, from.BucketID, gone.RequestID, from.Version}
	return []store.News{gone.news(store.RemovedMove), came.news(store.CreatedMove)}
}

// Waiting reports whether news of the project p are still to be brought to others.
func (m *Module) Waiting(ctx context.Context, p *project.Project) (bool, error) {
	return store.NewsWait(ctx, p.DB.Storage)
}
