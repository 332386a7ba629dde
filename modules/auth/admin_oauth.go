package auth

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
)

// maxClientPage bounds a page of apps; it is also the size of one that asks for
// none, as GoTrue has no pages here.
const maxClientPage = 1000

// adminClientList answers GET /admin/oauth/clients: the apps, newest first.
func (m *Module) adminClientList(c echo.Context, _ admin) error {
	query := c.QueryParams()
	number, err := parsePaging(query.Get("page"), 1)
	if err != nil {
		return invalid("Bad Pagination Parameters: " + err.Error())
	}
	size, err := parsePaging(query.Get("per_page"), maxClientPage)
	if err != nil {
		return invalid("Bad Pagination Parameters: " + err.Error())
	}
	if size == 0 || size > maxClientPage {
		size = maxClientPage
	}
	number = max(number, 1)
	clients, total, err := store.ListOAuthClients(c.Request().Context(), projectOf(c).DB.Auth, size, (number-1)*size)
	if err != nil {
		return databaseError("Error listing OAuth clients", err)
	}
	c.Response().Header().Set("Link", pageLinks("/admin/oauth/clients", query, number, (total+size-1)/size))
	c.Response().Header().Set("X-Total-Count", strconv.Itoa(total))
	return httpx.JSON(c, http.StatusOK, map[string]any{"clients": clients})
}

// adminClientCreate answers POST /admin/oauth/clients.
func (m *Module) adminClientCreate(c echo.Context, _ admin) error {
	return registerClient(c, registeredByAdmin)
}

// adminClientGet answers GET /admin/oauth/clients/{client_id}.
func (m *Module) adminClientGet(c echo.Context, _ admin) error {
	id, err := clientID(c.Param("client_id"))
	if err != nil {
		return err
	}
	client, err := store.OAuthClientByID(c.Request().Context(), projectOf(c).DB.Auth, id)
	if err != nil {
		return clientError("Error loading OAuth client", err)
	}
	return httpx.JSON(c, http.StatusOK, client)
}

// adminClientUpdate answers PUT /admin/oauth/clients/{client_id}.
func (m *Module) adminClientUpdate(c echo.Context, _ admin) error {
	var said clientMetadata
	if err := readBody(c, &said); err != nil {
		return err
	}
	if said.empty() {
		return invalid("No fields provided for update")
	}
	if err := said.check(); err != nil {
		return err
	}
	return m.changeClient(c, "Error updating OAuth client", func(q db.Queryer, client *store.OAuthClient) (*store.OAuthClient, error) {
		if said.AuthMethod != nil && !slices.Contains(authMethodsOf(client.Type), *said.AuthMethod) {
			return nil, invalid(fmt.Sprintf("token_endpoint_auth_method '%s' is not valid for client_type '%s'; valid methods: %v",
				*said.AuthMethod, client.Type, authMethodsOf(client.Type)))
		}
		said.apply(client)
		return store.UpdateOAuthClient(c.Request().Context(), q, client)
	})
}

// adminClientSecret answers POST /admin/oauth/clients/{client_id}/regenerate_secret.
func (m *Module) adminClientSecret(c echo.Context, _ admin) error {
	return m.changeClient(c, "Error regenerating OAuth client secret", func(q db.Queryer, client *store.OAuthClient) (*store.OAuthClient, error) {
		if client.Type != store.OAuthConfidential {
			return nil, invalid("Cannot regenerate secret for public client")
		}
		var secret string
		secret, client.SecretHash = newClientSecret()
		updated, err := store.UpdateOAuthClient(c.Request().Context(), q, client)
		if err == nil {
			updated.Secret = secret
			noStore(c)
		}
		return updated, err
	})
}

// adminClientDelete answers DELETE /admin/oauth/clients/{client_id}.
func (m *Module) adminClientDelete(c echo.Context, _ admin) error {
	return m.changeClient(c, "Error deleting OAuth client", func(q db.Queryer, client *store.OAuthClient) (*store.OAuthClient, error) {
		return nil, store.DeleteOAuthClient(c.Request().Context(), q, client.ID)
	})
}

// changeClient runs change on the app that the path names, whose row is locked,
// and answers with the app, or with nothing when there is none any more.
func (m *Module) changeClient(c echo.Context, doing string, change func(db.Queryer, *store.OAuthClient) (*store.OAuthClient, error)) error {
	id, err := clientID(c.Param("client_id"))
	if err != nil {
		return err
	}
	var client *store.OAuthClient
	ctx := c.Request().Context()
	err = pgx.BeginFunc(ctx, projectOf(c).DB.Auth, func(tx pgx.Tx) (err error) {
		if client, err = store.LockOAuthClient(ctx, tx, id); err != nil {
			return err
		}
		client, err = change(tx, client)
		return err
	})
	switch {
	case err != nil:
		return clientError(doing, err)
	case client == nil:
		return c.NoContent(http.StatusNoContent)
	}
	return httpx.JSON(c, http.StatusOK, client)
}

func clientID(text string) (string, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return "", invalid("invalid client_id format")
	}
	return id.String(), nil
}

func clientError(doing string, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return apierr.New(http.StatusNotFound, codeNoOAuthClient, "OAuth client not found")
	}
	return databaseError(doing, err)
}
