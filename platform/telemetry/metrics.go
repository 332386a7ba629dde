package telemetry

import (
	"fmt"
	"net/http"

	"github.com/VictoriaMetrics/metrics"
	"github.com/jackc/pgx/v5/pgxpool"
)

// PoolMetrics registers gauges of pool's state under the label pool=name. A
// second pool of the same name on one set keeps the first one's gauges.
func PoolMetrics(set *metrics.Set, name string, pool *pgxpool.Pool) {
	for metric, read := range map[string]func(*pgxpool.Stat) float64{
		"madbase_db_pool_connections":              func(s *pgxpool.Stat) float64 { return float64(s.TotalConns()) },
		"madbase_db_pool_connections_max":          func(s *pgxpool.Stat) float64 { return float64(s.MaxConns()) },
		"madbase_db_pool_connections_in_use":       func(s *pgxpool.Stat) float64 { return float64(s.AcquiredConns()) },
		"madbase_db_pool_acquires_total":           func(s *pgxpool.Stat) float64 { return float64(s.AcquireCount()) },
		"madbase_db_pool_acquire_waits_total":      func(s *pgxpool.Stat) float64 { return float64(s.EmptyAcquireCount()) },
		"madbase_db_pool_acquire_canceled_total":   func(s *pgxpool.Stat) float64 { return float64(s.CanceledAcquireCount()) },
		"madbase_db_pool_acquire_wait_seconds_sum": func(s *pgxpool.Stat) float64 { return s.EmptyAcquireWaitTime().Seconds() },
		"madbase_db_pool_connections_opened_total": func(s *pgxpool.Stat) float64 { return float64(s.NewConnsCount()) },
	} {
		set.GetOrCreateGauge(fmt.Sprintf("%s{pool=%q}", metric, name), func() float64 { return read(pool.Stat()) })
	}
}

// Metrics answers /metrics: set's metrics and those of the process and the Go runtime.
func Metrics(set *metrics.Set) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		set.WritePrometheus(w)
		metrics.WriteProcessMetrics(w)
	})
}
