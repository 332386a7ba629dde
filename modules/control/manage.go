package control

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/secret"
)

// Provisioner makes the databases of projects. What is to be deleted it finds in the
// registry by itself.
type Provisioner interface {
	// Check says whether a project can be made in the database at url.
	Check(ctx context.Context, url secret.String) error
	// Make gives a project that is being created its database and has it served.
	Make(ctx context.Context, p registry.Project) error
}

const (
	maxProjectBody = 16 << 10
	maxProjectName = 200
)

// newProject is what a project is made of. Other members, such as those by which
// Supabase's management API chooses machines, are ignored.
type newProject struct {
	Name, Ref   string
	DatabaseURL secret.String `json:"database_url"`
}

func (n *newProject) faults() []string {
	var list []string
	if n.Name = strings.TrimSpace(n.Name); n.Name == "" || !printable(n.Name, maxProjectName) {
		list = append(list, "name must have 1 to 200 printable characters")
	}
	if n.Ref = cmp.Or(n.Ref, registry.NewRef()); !registry.ValidRef(n.Ref) {
		list = append(list, "ref must have 3 to 40 small letters, digits and dashes, begin with a letter and not end with a dash")
	}
	return list
}

// createProject makes a project with a database of its own, in this cluster or at
// database_url, and answers once it is served.
func (m *Module) createProject(c echo.Context) error {
	var body newProject
	if err := readBody(c, maxProjectBody, &body); err != nil {
		return err
	}
	if list := body.faults(); len(list) > 0 {
		return faults("The project cannot be made", list...)
	}
	ctx := c.Request().Context()
	if body.DatabaseURL != "" {
		if err := m.deps.Provisioner.Check(ctx, body.DatabaseURL); err != nil {
			return apierr.New(http.StatusBadRequest, "bad_database", "The database cannot be used").
				WithDetail("Nobody answers at database_url, or its login may not create roles and schemas").Because(err)
		}
	}
	by := m.entry(c, "")
	by.Project = body.Ref
	p, err := m.deps.Registry.Create(ctx, by, body.Name, body.DatabaseURL)
	if err != nil {
		return projectFault(err)
	}
	if err := m.deps.Provisioner.Make(ctx, p); err != nil {
		m.giveUp(context.WithoutCancel(ctx), by)
		return apierr.New(http.StatusBadGateway, "not_created", "The project could not be made; what was made of it is removed").Because(err)
	}
	p, _ = m.deps.Registry.Snapshot().Project(p.Ref)
	return httpx.JSON(c, http.StatusCreated, m.describeRegistered(p))
}

// giveUp has a project deleted that could not be made.
func (m *Module) giveUp(ctx context.Context, by registry.Entry) {
	if err := m.deps.Registry.SetStatus(ctx, by, registry.Deleting, registry.Creating); err != nil {
		m.deps.Log.ErrorContext(ctx, "what is left of a project that could not be made stays", "project", by.Project, "error", err)
	}
}

// changeProject gives a project another name.
func (m *Module) changeProject(c echo.Context) error {
	body := struct{ Name string }{}
	if err := readBody(c, maxProjectBody, &body); err != nil {
		return err
	}
	named := newProject{Name: body.Name, Ref: c.Param("ref")}
	if list := named.faults(); len(list) > 0 {
		return faults("The project cannot be changed", list...)
	}
	if err := m.deps.Registry.Rename(c.Request().Context(), m.entry(c, ""), named.Name); err != nil {
		return projectFault(err)
	}
	return m.showProject(c)
}

// suspendProject has a project's requests refused; its data stays.
func (m *Module) suspendProject(c echo.Context) error {
	return m.moveProject(c, registry.Suspended, registry.Active)
}

func (m *Module) resumeProject(c echo.Context) error {
	return m.moveProject(c, registry.Active, registry.Suspended)
}

// deleteProject begins to delete a project when the body confirms which one. From
// then on its requests are refused; a moment later its database and objects go.
func (m *Module) deleteProject(c echo.Context) error {
	body := struct{ Confirm string }{}
	if err := readBody(c, maxProjectBody, &body); err != nil {
		return err
	}
	if body.Confirm != c.Param("ref") {
		return apierr.New(http.StatusBadRequest, "not_confirmed", "Deleting a project takes its database and objects: confirm it").
			WithDetail(`The body must be {"confirm": "<the project's ref>"}`)
	}
	return m.moveProject(c, registry.Deleting, registry.Active, registry.Suspended, registry.Creating)
}

func (m *Module) moveProject(c echo.Context, to registry.Status, from ...registry.Status) error {
	ref := c.Param("ref")
	if ref == registry.DefaultRef {
		return apierr.New(http.StatusConflict, "default_project", "The default project is that of DATABASE_URL: it can be neither suspended nor deleted")
	}
	if err := m.deps.Registry.SetStatus(c.Request().Context(), m.entry(c, ""), to, from...); err != nil {
		return projectFault(err)
	}
	p, found := m.deps.Registry.Snapshot().Project(ref)
	if !found {
		return noProject()
	}
	status := http.StatusOK
	if to == registry.Deleting {
		status = http.StatusAccepted
	}
	return httpx.JSON(c, status, m.describeRegistered(p))
}

func projectFault(err error) error {
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return noProject()
	case errors.Is(err, registry.ErrTaken):
		return apierr.New(http.StatusConflict, "ref_taken", "There is a project of that ref already").Because(err)
	case errors.Is(err, registry.ErrStatus):
		return apierr.New(http.StatusConflict, "bad_status", "The project's present status does not allow that").Because(err)
	}
	return err
}

// statuses are the registry's by the names of Supabase's management API.
var statuses = map[registry.Status]string{
	registry.Creating: "COMING_UP", registry.Active: "ACTIVE_HEALTHY", registry.Suspended: "INACTIVE", registry.Deleting: "GOING_DOWN",
}

// describeRegistered shows a project beside the default one. Whether its database is
// well is not asked: that would open it.
func (m *Module) describeRegistered(p registry.Project) projectInfo {
	info := projectInfo{
		ID: p.Ref, Ref: p.Ref, Name: p.Name, APIURL: m.deps.PublicURL(p.Ref), Status: statuses[p.Status], CreatedAt: timestamp(p.CreatedAt),
	}
	if !p.External() {
		info.Database = location(m.deps.Projects.Default())
		info.Database.Name = p.Database
	}
	return info
}
