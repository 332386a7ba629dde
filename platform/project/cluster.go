package project

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// settingsOf are what sql/bootstrap sets for the standing roles, which holds for their
// own sessions alone.
var settingsOf = map[string][]string{
	RoleAPI:     {"statement_timeout = '8s'", "lock_timeout = '8s'", "idle_in_transaction_session_timeout = '30s'"},
	RoleAuth:    {"search_path = auth", "idle_in_transaction_session_timeout = '60s'"},
	RoleStorage: {"search_path = storage"},
}

// admit makes role, one that may log in to the present database and to no other
// one that madbase has made, and is there what the standing role as is.
func admit(ctx context.Context, conn *pgx.Conn, role, as string) error {
	database, name, standing := pgx.Identifier{conn.Config().Database}.Sanitize(), pgx.Identifier{role}.Sanitize(), pgx.Identifier{as}.Sanitize()
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var exists bool
		if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role).Scan(&exists); err != nil {
			return err
		}
		statements := []string{"GRANT CONNECT ON DATABASE " + database + " TO " + name}
		if as == RoleAPI { // its sessions begin as nobody and become the caller's role
			statements = append(statements, "GRANT anon, authenticated, service_role TO "+name)
		} else { // theirs begin as the standing role
			statements = append(statements, "GRANT "+standing+" TO "+name, "ALTER ROLE "+name+" SET role = "+as)
		}
		for _, setting := range settingsOf[as] {
			statements = append(statements, "ALTER ROLE "+name+" SET "+setting)
		}
		if !exists {
			statements = append([]string{"CREATE ROLE " + name + " LOGIN NOINHERIT"}, statements...)
		}
		for _, statement := range statements {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// CreateDatabase makes the database name in owner's cluster, unless it is there, and
// closes it to all but those who are let in by name. The database that owner is in is
// closed in the same way, but stays open for every role that may log in now.
func CreateDatabase(ctx context.Context, owner *pgx.Conn, name string) error {
	var exists bool
	if err := owner.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil {
		return fmt.Errorf("project: look for database %s: %w", name, err)
	}
	database := pgx.Identifier{name}.Sanitize()
	if !exists {
		if _, err := owner.Exec(ctx, "CREATE DATABASE "+database); err != nil {
			return fmt.Errorf("project: create database %s: %w", name, err)
		}
	}
	if _, err := owner.Exec(ctx, "REVOKE CONNECT ON DATABASE "+database+" FROM PUBLIC"); err != nil {
		return fmt.Errorf("project: close database %s: %w", name, err)
	}
	if err := db.Retry(ctx, func() error { return seclude(ctx, owner) }); err != nil {
		return fmt.Errorf("project: close the control database: %w", err)
	}
	return nil
}

// seclude takes the right to connect to the present database from everybody and
// gives it to each role that may log in, as they all have it now. So no later role
// has it: those of projects, above all. What inherits has it by the group
// madbase_connect, so that the right does not keep roles from being dropped.
func seclude(ctx context.Context, owner *pgx.Conn) error {
	_, err := owner.Exec(ctx, `DO $$
		DECLARE
			r record;
		BEGIN
			IF NOT (SELECT datacl IS NULL OR EXISTS (SELECT FROM aclexplode(datacl) WHERE grantee = 0 AND privilege_type = 'CONNECT')
				FROM pg_database WHERE datname = current_database()) THEN
				RETURN;
			END IF;
			IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'madbase_connect') THEN
				CREATE ROLE madbase_connect NOLOGIN;
			END IF;
			EXECUTE format('GRANT CONNECT ON DATABASE %I TO madbase_connect', current_database());
			FOR r IN
				SELECT rolname, rolinherit FROM pg_roles
				WHERE rolcanlogin AND NOT rolsuper AND rolname !~ '^(authenticator|supabase_auth_admin|supabase_storage_admin)_.'
			LOOP
				IF r.rolinherit THEN
					EXECUTE format('GRANT madbase_connect TO %I', r.rolname);
				ELSE
					EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), r.rolname);
				END IF;
			END LOOP;
			EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', current_database());
		END
		$$`)
	return err
}

// DropDatabase removes the database name, with whoever is connected to it, and what
// is no longer there is no error.
func DropDatabase(ctx context.Context, owner *pgx.Conn, name string) error {
	if _, err := owner.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("project: drop database %s: %w", name, err)
	}
	return nil
}

// DropLogins removes the login roles of a project whose database is gone, or is the
// present one.
func DropLogins(ctx context.Context, owner *pgx.Conn, logins Logins) error {
	if logins.ref == "" {
		return errors.New("project: the default project's roles stay")
	}
	for _, login := range logins.all() {
		err := db.Retry(ctx, func() error { return dropLogin(ctx, owner, login.Role) })
		if err != nil {
			return fmt.Errorf("project: drop role %s: %w", login.Role, err)
		}
	}
	return nil
}

func dropLogin(ctx context.Context, owner *pgx.Conn, role string) error {
	var exists, connects bool
	err := owner.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1), EXISTS (
		SELECT FROM pg_database, aclexplode(datacl) a JOIN pg_roles r ON r.oid = a.grantee WHERE datname = current_database() AND r.rolname = $1)`,
		role).Scan(&exists, &connects)
	if err != nil || !exists {
		return err
	}
	name := pgx.Identifier{role}.Sanitize()
	if connects {
		if _, err := owner.Exec(ctx, "REVOKE ALL ON DATABASE "+pgx.Identifier{owner.Config().Database}.Sanitize()+" FROM "+name); err != nil {
			return err
		}
	}
	_, err = owner.Exec(ctx, "DROP ROLE "+name)
	return err
}

// ErrNotOwner means that a login cannot prepare a database for madbase.
var ErrNotOwner = errors.New("project: the login may not create roles and schemas")

// MayOwn returns ErrNotOwner unless owner may make what madbase needs in its database.
func MayOwn(ctx context.Context, owner *pgx.Conn) error {
	var may bool
	err := owner.QueryRow(ctx, `SELECT (rolsuper OR rolcreaterole) AND has_database_privilege(current_database(), 'CREATE')
		FROM pg_roles WHERE rolname = current_user`).Scan(&may)
	if err != nil {
		return fmt.Errorf("project: look at the owner's rights: %w", err)
	}
	if !may {
		return ErrNotOwner
	}
	return nil
}

// TryLock takes the advisory lock key for as long as conn is open, unless somebody has it.
func TryLock(ctx context.Context, conn *pgx.Conn, key int64) (mine bool, err error) {
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", key).Scan(&mine); err != nil {
		return false, fmt.Errorf("project: lock: %w", err)
	}
	return mine, nil
}
