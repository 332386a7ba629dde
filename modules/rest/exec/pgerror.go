package exec

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/madbase/madbase/platform/apierr"
)

// Translate makes an error that came from PostgreSQL one in PostgREST's terms,
// with the caller's own code, message, detail and hint. authenticated tells
// whether the caller had a role of its own: what an anonymous one may not do, a
// login might allow. Any other error stays as it is.
func Translate(err error, authenticated bool) error {
	if err == nil {
		return nil
	}
	if _, done := errors.AsType[*apierr.Error](err); done {
		return err
	}
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	if pg.Code == "PGRST" {
		return raised(pg).Because(err)
	}
	e := apierr.New(status(pg, authenticated), pg.Code, pg.Message).WithHint(pg.Hint).Because(err)
	if pg.Detail != "" {
		e.Detail = pg.Detail
	}
	if e.Status == http.StatusUnauthorized {
		e.WithHeader("WWW-Authenticate", "Bearer")
	}
	return e
}

// statuses maps SQLSTATEs to statuses; the longest prefix wins.
var statuses = map[string]int{
	"08": 503, "09": 500, "0L": 403, "0P": 403,
	"21000": 500, "22023": 400, "23503": 409, "23505": 409,
	"25": 500, "25006": 405, "28": 403, "2D": 500,
	"38": 500, "39": 500, "3B": 500, "40": 500,
	"42883": 404, "42P01": 404, "42P17": 500,
	"53": 503, "53400": 500, "54": 500, "55": 500, "57": 500, "57P01": 503, "58": 500,
	"F0": 500, "HV": 500, "P0": 500, "P0001": 400, "XX": 500,
}

// status is the HTTP status of a database's error.
func status(pg *pgconn.PgError, authenticated bool) int {
	switch {
	case pg.Code == "42501" && authenticated:
		return http.StatusForbidden
	case pg.Code == "42501":
		return http.StatusUnauthorized
	case pg.Code == "21000" && strings.HasSuffix(pg.Message, "requires a WHERE clause"):
		return http.StatusBadRequest // pg-safeupdate
	case pg.Code == "22023" && strings.HasPrefix(pg.Message, "role") && strings.HasSuffix(pg.Message, "does not exist"):
		return http.StatusUnauthorized
	case pg.Code == "42883" && strings.HasPrefix(pg.Message, "function xmlagg("):
		return http.StatusNotAcceptable
	case strings.HasPrefix(pg.Code, "PT"):
		if n, err := strconv.Atoi(pg.Code[2:]); err == nil && validStatus(n) {
			return n
		}
		return http.StatusInternalServerError
	}
	for length := len(pg.Code); length >= 2; length-- {
		if s, found := statuses[pg.Code[:length]]; found {
			return s
		}
	}
	return http.StatusBadRequest
}

// validStatus reports whether net/http can write n as the status of an answer.
func validStatus(n int) bool { return n >= 200 && n <= 999 }

// raised reads an error by which a function decides the whole answer:
// RAISE SQLSTATE 'PGRST' with JSON as its message and its detail.
func raised(pg *pgconn.PgError) *apierr.Error {
	var message struct {
		Code, Message *string
		Details, Hint *string
	}
	var detail struct {
		Status  *int
		Headers map[string]string
	}
	malformed := apierr.New(500, "PGRST121", `Could not parse JSON in the "RAISE SQLSTATE 'PGRST'" error`)
	if json.Unmarshal([]byte(pg.Message), &message) != nil || message.Code == nil || message.Message == nil {
		return malformed.WithDetail("Invalid JSON value for MESSAGE: '" + pg.Message + "'").
			WithHint("MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys: 'details', 'hint'.")
	}
	malformed.Hint = "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: 'status_text'."
	if pg.Detail == "" {
		return malformed.WithDetail("DETAIL is missing in the RAISE statement")
	}
	if json.Unmarshal([]byte(pg.Detail), &detail) != nil || detail.Status == nil || detail.Headers == nil || !validStatus(*detail.Status) {
		return malformed.WithDetail("Invalid JSON value for DETAIL: '" + pg.Detail + "'")
	}
	e := apierr.New(*detail.Status, *message.Code, *message.Message)
	if message.Details != nil {
		e.Detail = *message.Details
	}
	if message.Hint != nil {
		e.Hint = *message.Hint
	}
	for name, value := range detail.Headers {
		e.WithHeader(name, value)
	}
	return e
}
