package control

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/httpx"
)

const (
	// partTimeout is how long a part may take to say that it is well.
	partTimeout = 2 * time.Second
	// healthAge is how long an outcome is told again: anyone may ask.
	healthAge = time.Second
)

type partHealth struct {
	Name   string  `json:"name"`
	Status string  `json:"status"`
	Reason string  `json:"reason,omitempty"`
	TookMS float64 `json:"took_ms"`
}

type systemHealth struct {
	Status string       `json:"status"`
	Parts  []partHealth `json:"parts,omitempty"`
}

const (
	well   = "healthy"
	unwell = "unhealthy"
)

// healthCache keeps the last outcome; one check runs at a time.
type healthCache struct {
	mu   sync.Mutex
	last systemHealth
	at   time.Time
}

// showHealth tells everyone whether all is well, and the administrator which part is not.
func (m *Module) showHealth(c echo.Context) error {
	r := c.Request()
	h := m.checkHealth(r.Context())
	status := http.StatusOK
	if h.Status != well {
		status = http.StatusServiceUnavailable
	}
	if m.authenticateQuietly(r) != nil {
		h.Parts = nil
	}
	return httpx.JSON(c, status, h)
}

// authenticateQuietly asks for no password where none was offered.
func (m *Module) authenticateQuietly(r *http.Request) error {
	if _, err := r.Cookie(cookieName); err != nil && r.Header.Get("Authorization") == "" {
		return err
	}
	return m.authenticate(r)
}

func (m *Module) checkHealth(ctx context.Context) systemHealth {
	m.health.mu.Lock()
	defer m.health.mu.Unlock()
	if !m.health.at.IsZero() && time.Since(m.health.at) < healthAge {
		return m.health.last
	}
	// The outcome is for all who ask, so that one who leaves does not spoil it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), partTimeout)
	defer cancel()
	parts := slices.Clone(m.deps.Parts)
	if m.deps.Workers != nil {
		parts = append(parts, m.deps.Workers(ctx)...)
	}
	h := systemHealth{Status: well, Parts: make([]partHealth, len(parts))}
	var wg sync.WaitGroup
	for i, part := range parts {
		wg.Go(func() { h.Parts[i] = m.checkPart(ctx, part) })
	}
	wg.Wait()
	for _, part := range h.Parts {
		if part.Status != well {
			h.Status = unwell
		}
	}
	m.health.last, m.health.at = h, time.Now()
	return h
}

// checkPart logs why a part is unwell; the cause may name addresses and is not shown.
func (m *Module) checkPart(ctx context.Context, part Part) partHealth {
	start := time.Now()
	err := part.Check(ctx)
	h := partHealth{Name: part.Name, Status: well, TookMS: float64(time.Since(start).Microseconds()) / 1000}
	if err != nil {
		h.Status, h.Reason = unwell, "failed"
		if errors.Is(err, context.DeadlineExceeded) {
			h.Reason = "timed out"
		}
		m.deps.Log.WarnContext(ctx, "part is unhealthy", "part", part.Name, "error", err)
	}
	return h
}
