package telemetry

import (
	"context"
	"io"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/jackc/pgx/v5/pgxpool"
)

// statistics are PostgreSQL's counters of the database (its documentation, "The
// Cumulative Statistics System"), which every role may read.
const statistics = `
SELECT s.numbackends, current_setting('max_connections')::bigint, s.xact_commit, s.xact_rollback, s.blks_hit, s.blks_read,
       s.tup_returned, s.tup_fetched, s.tup_inserted + s.tup_updated + s.tup_deleted, s.deadlocks, s.temp_bytes, pg_database_size(s.datid)
FROM pg_stat_database s
WHERE s.datname = current_database()`

// statisticsNames are the metrics of statistics' columns.
var statisticsNames = [...]string{
	"madbase_pg_connections", "madbase_pg_connections_max", "madbase_pg_commits_total", "madbase_pg_rollbacks_total",
	"madbase_pg_blocks_hit_total", "madbase_pg_blocks_read_total", "madbase_pg_rows_returned_total", "madbase_pg_rows_fetched_total",
	"madbase_pg_rows_written_total", "madbase_pg_deadlocks_total", "madbase_pg_temporary_bytes_total", "madbase_pg_size_bytes",
}

// statisticsTime bounds how long a scrape waits for the database.
const statisticsTime = 2 * time.Second

// PostgresMetrics has set show the statistics of pool's database, read at each
// scrape. While the database does not answer there is madbase_pg_up 0 alone.
func PostgresMetrics(set *metrics.Set, pool *pgxpool.Pool) {
	set.RegisterMetricsWriter(func(w io.Writer) {
		ctx, cancel := context.WithTimeout(context.Background(), statisticsTime)
		defer cancel()
		var values [len(statisticsNames)]int64
		into := make([]any, len(values))
		for i := range values {
			into[i] = &values[i]
		}
		if err := pool.QueryRow(ctx, statistics).Scan(into...); err != nil {
			metrics.WriteGaugeUint64(w, "madbase_pg_up", 0)
			return
		}
		metrics.WriteGaugeUint64(w, "madbase_pg_up", 1)
		for i, name := range statisticsNames {
			metrics.WriteGaugeUint64(w, name, uint64(max(values[i], 0)))
		}
	})
}
