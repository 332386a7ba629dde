package schema

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// DatabaseSettings are the settings that a database has for the API.
type DatabaseSettings struct {
	// Own are those of the login role named pgrst.*, without that prefix.
	Own map[string]string
	// Roles are those of the roles that the login role may become.
	Roles map[string]RoleSettings
}

// RoleSettings are what ALTER ROLE ... SET gives a role. PostgreSQL applies them at
// its login only, and the API's roles never log in.
type RoleSettings struct {
	// Isolation is default_transaction_isolation in lower case; empty when not set.
	Isolation string
	// Settings are the others, name and value in turn.
	Settings []string
}

// IsolationSetting is the variable by which roles and functions choose the
// isolation of their transactions.
const IsolationSetting = "default_transaction_isolation"

// LoadSettings reads the settings in the database over conn. preConfig is a
// function that sets further ones, of which those of the login role win; with own
// false neither is asked for.
func LoadSettings(ctx context.Context, conn *pgx.Conn, own bool, preConfig Name) (*DatabaseSettings, error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{})
	if err != nil {
		return nil, fmt.Errorf("schema: begin: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // what it sets is of no further use
	d := &DatabaseSettings{Own: map[string]string{}, Roles: map[string]RoleSettings{}}
	if own {
		if preConfig.Name != "" {
			function := pgx.Identifier{preConfig.Schema, preConfig.Name}
			if preConfig.Schema == "" {
				function = function[1:]
			}
			if _, err := tx.Exec(ctx, "SELECT "+function.Sanitize()+"()"); err != nil {
				return nil, fmt.Errorf("schema: pre-config function: %w", err)
			}
		}
		if err := readJSON(ctx, tx, ownSettingsSQL, &d.Own); err != nil {
			return nil, err
		}
	}
	privileged := ""
	if version, _ := strconv.Atoi(strings.SplitN(conn.PgConn().ParameterStatus("server_version"), ".", 2)[0]); version >= 15 {
		privileged = " OR has_parameter_privilege(p.name, 'SET')"
	}
	return d, readJSON(ctx, tx, fmt.Sprintf(roleSettingsSQL, privileged), &d.Roles)
}

func readJSON(ctx context.Context, tx pgx.Tx, sql string, into any) error {
	var text []byte
	if err := tx.QueryRow(ctx, sql).Scan(&text); err != nil {
		return fmt.Errorf("schema: read settings: %w", err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("schema: read settings: %w", err)
	}
	return nil
}

// ownSettingsSQL reads the settings pgrst.* of the login role, those in this
// database before those in all, and what a pre-config function has just set.
const ownSettingsSQL = `
WITH role_settings AS (
	SELECT s.setdatabase AS database, substr(c, 1, strpos(c, '=') - 1) AS name, substr(c, strpos(c, '=') + 1) AS value
	FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) AS c
	WHERE s.setrole = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
	AND s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_catalog))
), found AS (
	SELECT DISTINCT ON (name) name, value FROM (
		SELECT name, value, CASE database WHEN 0 THEN 1 ELSE 0 END AS rank FROM role_settings
		UNION ALL
		SELECT n, current_setting(n, true), 2 FROM unnest(string_to_array('` + settingNames + `', ' ')) AS k, concat('pgrst.', k) AS n
	) x
	WHERE name LIKE 'pgrst.%' AND value IS NOT NULL AND (rank < 2 OR value <> '')
	ORDER BY name, rank
)
SELECT coalesce(json_object_agg(substr(name, 7), value), '{}') FROM found`

// settingNames are the settings that a pre-config function can set.
const settingNames = `db_aggregates_enabled client_error_verbosity db_anon_role db_extra_search_path db_max_rows db_plan_enabled ` +
	`db_pre_request db_prepared_statements db_root_spec db_schemas db_tx_end db_hoisted_tx_settings jwt_aud jwt_role_claim_key ` +
	`jwt_secret jwt_secret_is_base64 openapi_mode openapi_security_active openapi_server_proxy_uri server_cors_allowed_origins ` +
	`server_trace_header server_timing_enabled url_use_legacy_target_names`

// roleSettingsSQL reads the settings of the roles that the login role is a member
// of, as far as it may set them.
const roleSettingsSQL = `
WITH settings AS (
	SELECT r.rolname, substr(c, 1, strpos(c, '=') - 1) AS name, substr(c, strpos(c, '=') + 1) AS value
	FROM pg_catalog.pg_auth_members m
	JOIN pg_catalog.pg_roles r ON r.oid = m.roleid, unnest(r.rolconfig) AS c
	WHERE m.member = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
), allowed AS (
	SELECT DISTINCT s.* FROM settings s JOIN pg_catalog.pg_settings p ON p.name = s.name
	WHERE p.context = 'user'%s
)
SELECT coalesce(json_object_agg(rolname, s), '{}') FROM (
	SELECT rolname, json_build_object(
		'Isolation', coalesce(max(lower(value)) FILTER (WHERE name = 'default_transaction_isolation'), ''),
		'Settings', coalesce((SELECT json_agg(v ORDER BY o.name, i) FROM allowed o, unnest(ARRAY[o.name, o.value]) WITH ORDINALITY AS u (v, i)
			WHERE o.rolname = a.rolname AND o.name <> 'default_transaction_isolation'), '[]')) AS s
	FROM allowed a GROUP BY rolname
) x`
