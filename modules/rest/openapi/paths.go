package openapi

import (
	"strings"

	"github.com/madbase/madbase/modules/rest/schema"
)

func ref(kind, name string) object { return object{{"$ref", "#/" + kind + "/" + name}} }

func refs(names ...string) []object {
	all := make([]object, len(names))
	for i, name := range names {
		all[i] = ref("parameters", name)
	}
	return all
}

// answer is the one response of an operation, by its status.
func answer(status, description string) object {
	return object{{status, object{{"description", description}}}}
}

// paths are the root, the tables and the functions.
func paths(in Input) object {
	all := object{{"/", object{{"get", object{
		{"tags", []string{"Introspection"}},
		{"summary", "OpenAPI description (this document)"},
		{"produces", []string{"application/openapi+json", "application/json"}},
		{"responses", answer("200", "OK")},
	}}}}}
	for _, t := range in.Tables {
		all = append(all, member{"/" + t.Name.Name, tablePath(t, in.Notes.Tables[t.Name.Name].Comment)})
	}
	for i, r := range in.Routines {
		if i+1 < len(in.Routines) && in.Routines[i+1].Name == r.Name {
			continue // of overloads, which have one path, the one with the most parameters is shown
		}
		all = append(all, member{"/rpc/" + r.Name.Name, routinePath(r, in.Notes.Routines[r.Oid])})
	}
	return all
}

func tablePath(t *schema.Table, comment string) object {
	name := t.Name.Name
	summary, description := summarize(comment)
	filters := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		filters[i] = "rowFilter." + name + "." + c.Name
	}
	operation := func(responses object, parameters ...string) object {
		return object{
			{"tags", []string{name}},
			{"summary", text(summary)},
			{"description", text(description)},
			{"parameters", refs(parameters...)},
			{"responses", responses},
		}
	}
	filtered := func(more ...string) []string { return append(filters[:len(filters):len(filters)], more...) }
	body := "body." + name
	read := object{
		{"200", object{{"description", "OK"}, {"schema", object{{"type", "array"}, {"items", ref("definitions", name)}}}}},
		{"206", object{{"description", "Partial Content"}}},
	}
	path := object{{"get", operation(read, filtered("select", "order", "range", "rangeUnit", "offset", "limit", "preferCount")...)}}
	if t.Insertable || t.Updatable || t.Deletable {
		path = append(path,
			member{"post", operation(answer("201", "Created"), body, "select", "preferPost")},
			member{"delete", operation(answer("204", "No Content"), filtered("preferReturn")...)},
			member{"patch", operation(answer("204", "No Content"), filtered(body, "preferReturn")...)})
	}
	return path
}

func routinePath(r *schema.Routine, comment string) object {
	summary, description := summarize(comment)
	operation := func(parameters any) object {
		return object{
			{"tags", []string{"(rpc) " + r.Name.Name}},
			{"summary", text(summary)},
			{"description", text(description)},
			{"produces", callMedia},
			{"parameters", parameters},
			{"responses", answer("200", "OK")},
		}
	}
	post := operation([]object{
		{{"name", "args"}, {"in", "body"}, {"required", true}, {"schema", argumentsSchema(r, comment)}},
		ref("parameters", "preferParams"),
	})
	if r.Volatility == schema.Volatile {
		return object{{"post", post}}
	}
	query := make([]object, len(r.Params))
	for i, p := range r.Params {
		query[i] = argument(p, argumentType(r, p))
	}
	return object{{"get", operation(list(query))}, {"post", post}}
}

// argumentsSchema describes the body of a call.
func argumentsSchema(r *schema.Routine, comment string) object {
	var properties object
	var required []string
	for _, p := range r.Params {
		properties = append(properties, member{p.Name, typed(argumentType(r, p))})
		if p.Required {
			required = append(required, p.Name)
		}
	}
	o := object{{"description", text(comment)}, {"required", list(required)}, {"type", "object"}}
	if len(properties) > 0 {
		o = append(o, member{"properties", properties})
	}
	return o
}

// argumentType is a parameter's type, without its schema where that is the function's.
func argumentType(r *schema.Routine, p schema.Param) string {
	return strings.TrimPrefix(p.Type, r.Name.Schema+".")
}

// argument describes a parameter in the query of a call. One of several values is
// repeated; an array is written as PostgreSQL does.
func argument(p schema.Param, typ string) object {
	o := object{{"name", p.Name}, {"in", "query"}, {"required", p.Required}}
	element, isArray := strings.CutSuffix(typ, "[]")
	if p.Variadic {
		items := object{{"type", text(swaggerType(element))}, {"format", text(swaggerFormat(element))}}
		return append(o, member{"type", "array"}, member{"collectionFormat", "multi"}, member{"items", items})
	}
	kind := swaggerType(typ)
	if isArray || kind == "" {
		kind = "string"
	}
	return append(o, member{"type", kind}, member{"format", swaggerFormat(typ)})
}

// parameters are those that operations refer to.
func parameters(in Input) object {
	parameter := func(name, where, description string, more ...member) object {
		return append(object{{"name", name}, {"in", where}, {"description", text(description)}, {"required", false}, {"type", "string"}}, more...)
	}
	prefer := func(values ...string) object {
		return parameter("Prefer", "header", "Preference", member{"enum", list(values)})
	}
	returns := []string{"return=representation", "return=minimal", "return=none"}
	const paging = "Limiting and Pagination"
	all := object{
		{"preferParams", prefer()},
		{"preferReturn", prefer(returns...)},
		{"preferCount", prefer("count=none")},
		{"preferPost", prefer(append(returns, "resolution=ignore-duplicates", "resolution=merge-duplicates")...)},
		{"select", parameter("select", "query", "Filtering Columns")},
		{"on_conflict", parameter("on_conflict", "query", "On Conflict")},
		{"order", parameter("order", "query", "Ordering")},
		{"range", parameter("Range", "header", paging)},
		{"rangeUnit", parameter("Range-Unit", "header", paging, member{"default", "items"})},
		{"offset", parameter("offset", "query", paging)},
		{"limit", parameter("limit", "query", paging)},
	}
	for _, t := range in.Tables {
		name, notes := t.Name.Name, in.Notes.Tables[t.Name.Name]
		all = append(all, member{"body." + name, object{
			{"name", name}, {"in", "body"}, {"description", name}, {"required", false}, {"schema", ref("definitions", name)},
		}})
		for _, c := range t.Columns {
			all = append(all, member{"rowFilter." + name + "." + c.Name, parameter(c.Name, "query", notes.Columns[c.Name].Comment)})
		}
	}
	return all
}
