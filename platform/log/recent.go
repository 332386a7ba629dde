package log

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// RecentConfig bounds what a process remembers of its own log.
type RecentConfig struct {
	Bytes int           `env:"MADBASE_LOG_RECENT_BYTES" default:"4194304" doc:"Bytes of its own log lines that each process remembers, to be searched at /platform/v1/logs; 0 for none." group:"optional"`
	Age   time.Duration `env:"MADBASE_LOG_RECENT_AGE" default:"24h" doc:"How long it remembers a line at most." group:"optional"`
}

// Validate names every fault of the settings.
func (c RecentConfig) Validate() error {
	if c.Bytes < 0 || c.Bytes > 1<<30 || c.Bytes > 0 && c.Age <= 0 {
		return errors.New("MADBASE_LOG_RECENT_BYTES must be from 0 to 1073741824 and MADBASE_LOG_RECENT_AGE be positive")
	}
	return nil
}

const (
	// chunkSize is how much is forgotten at once.
	chunkSize = 64 << 10
	// MaxLines bounds the lines of one answer.
	MaxLines = 5000
)

// Recent remembers the last lines of a log, as JSON. It is an io.Writer of whole lines,
// as slog's handlers write them; to write is to copy into memory that is there already.
type Recent struct {
	cfg RecentConfig
	now func() time.Time

	mu     sync.Mutex
	chunks []*chunk // the oldest first
}

// chunk is full at cap(text). What was written does not change.
type chunk struct {
	text []byte
	last time.Time
}

// NewRecent returns a Recent without lines.
func NewRecent(cfg RecentConfig) *Recent { return &Recent{cfg: cfg, now: time.Now} }

// Write remembers a line. One that is longer than a chunk is not remembered.
func (r *Recent) Write(line []byte) (int, error) {
	if r.cfg.Bytes <= 0 || len(line) > min(chunkSize, r.cfg.Bytes) {
		return len(line), nil
	}
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	var c *chunk
	if n := len(r.chunks); n > 0 {
		c = r.chunks[n-1]
	}
	if c == nil || len(c.text)+len(line) > cap(c.text) {
		c = &chunk{text: make([]byte, 0, min(chunkSize, r.cfg.Bytes))}
		r.chunks = append(r.chunks, c)
		r.forget(now)
	}
	c.text, c.last = append(c.text, line...), now
	return len(line), nil
}

// forget drops the chunks that are too many or too old.
func (r *Recent) forget(now time.Time) {
	most := max(1, r.cfg.Bytes/chunkSize)
	drop := max(0, len(r.chunks)-most)
	for drop < len(r.chunks)-1 && now.Sub(r.chunks[drop].last) > r.cfg.Age {
		drop++
	}
	r.chunks = slices.Delete(r.chunks, 0, drop)
}

// Query says which lines are wanted. What is empty does not matter.
type Query struct {
	// Level is the least severe level.
	Level slog.Level
	// Text stands somewhere in the line, in whatever case.
	Text         string
	RequestID    string
	Since, Until time.Time
	// Limit is at most MaxLines.
	Limit int
}

// Line is a line of the log.
type Line struct {
	Time time.Time
	// JSON is the whole line, an object.
	JSON json.RawMessage
}

// Find returns the lines of q, the newest first.
func (r *Recent) Find(q Query) []Line {
	q.Text = strings.ToLower(q.Text)
	if oldest := r.now().Add(-r.cfg.Age); q.Since.Before(oldest) {
		q.Since = oldest
	}
	limit := min(q.Limit, MaxLines)
	found := []Line{}
	for _, text := range r.texts() {
		lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
		for _, raw := range slices.Backward(lines) {
			if len(found) == limit {
				return found
			}
			if line, ok := q.match(raw); ok {
				found = append(found, line)
			}
		}
	}
	return found
}

// texts are the chunks' texts as they are now, the newest first.
func (r *Recent) texts() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	var texts [][]byte
	for _, c := range slices.Backward(r.chunks) {
		texts = append(texts, c.text)
	}
	return texts
}

// match decides with as little reading of JSON as may be.
func (q Query) match(raw []byte) (Line, bool) {
	if q.RequestID != "" && !bytes.Contains(raw, []byte(q.RequestID)) {
		return Line{}, false
	}
	if q.Text != "" && !strings.Contains(strings.ToLower(string(raw)), q.Text) {
		return Line{}, false
	}
	var line struct {
		Time      time.Time `json:"time"`
		Level     slog.Level
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal(raw, &line); err != nil {
		return Line{}, false
	}
	switch {
	case line.Level < q.Level, q.RequestID != "" && line.RequestID != q.RequestID,
		line.Time.Before(q.Since), !q.Until.IsZero() && line.Time.After(q.Until):
		return Line{}, false
	}
	return Line{Time: line.Time, JSON: raw}, true
}

// Values writes q as ParseQuery reads it.
func (q Query) Values() url.Values {
	v := url.Values{"level": {q.Level.String()}, "limit": {strconv.Itoa(q.Limit)}}
	for name, text := range map[string]string{"text": q.Text, "request_id": q.RequestID} {
		if text != "" {
			v.Set(name, text)
		}
	}
	for name, at := range map[string]time.Time{"since": q.Since, "until": q.Until} {
		if !at.IsZero() {
			v.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	return v
}

// usualLines is how many lines are found where no limit is given.
const usualLines = 100

// ParseQuery reads level (debug, info, warn, error), text, request_id, since and until
// (a time as RFC 3339, or a duration before now such as 15m) and limit. The error says
// which of them is wrong.
func ParseQuery(v url.Values, now time.Time) (Query, error) {
	q := Query{Level: slog.LevelDebug, Text: v.Get("text"), RequestID: v.Get("request_id"), Limit: usualLines}
	var errs []error
	if text := v.Get("level"); text != "" {
		if err := q.Level.UnmarshalText([]byte(text)); err != nil {
			errs = append(errs, errors.New("level must be debug, info, warn or error"))
		}
	}
	for name, into := range map[string]*time.Time{"since": &q.Since, "until": &q.Until} {
		var err error
		if *into, err = moment(v.Get(name), now); err != nil {
			errs = append(errs, errors.New(name+" must be a time as RFC 3339, or a duration such as 15m"))
		}
	}
	if text := v.Get("limit"); text != "" {
		var err error
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > MaxLines {
			errs = append(errs, fmt.Errorf("limit must be a number from 1 to %d", MaxLines))
		}
	}
	return q, errors.Join(errs...)
}

// moment reads a time, or how long before now it was; zero for nothing.
func moment(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	return time.Parse(time.RFC3339Nano, text)
}
