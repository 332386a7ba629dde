package plan

import (
	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/schema"
)

// negotiate settles the body and its media type: the first accepted one that can
// be made. PGRST107 when there is none.
func (b *builder) negotiate(p *Plan) error {
	for _, media := range b.req.Accept {
		wanted := media
		explain := b.req.Explains[media]
		if explain != nil {
			if !b.rules.Explain {
				continue
			}
			wanted = explain.For
		}
		body, made, handler := b.body(p.Read, wanted)
		if made == "" {
			continue
		}
		if explain != nil {
			made = media
		}
		p.Body, p.Media, p.Handler, p.Explain = body, made, handler, explain
		return nil
	}
	return errMediaType(b.req.Accept)
}

// NegotiateRoot says whether the description of the API, which is OpenAPI, is
// accepted, be it as JSON. PGRST107 when it is not.
func NegotiateRoot(accept []ast.MediaType) error {
	for _, media := range accept {
		if media == ast.OpenAPI || media == ast.JSON || media == ast.Any {
			return nil
		}
	}
	return errMediaType(accept)
}

// body finds what makes a media type of the rows of read. A type of PostgREST's
// own is always made by itself; users may say how all others are made, for one
// table or for any. The result has no media type when nothing makes it.
func (b *builder) body(read *Read, media ast.MediaType) (Body, ast.MediaType, *schema.Handler) {
	switch media {
	case ast.ArrayStripped:
		return JSONStripped, media, nil
	case ast.Object:
		return ObjectBody, media, nil
	case ast.ObjectStripped:
		return ObjectStripped, media, nil
	}
	if h := b.handler(read, string(media)); h != nil {
		return CustomBody, ast.MediaType(h.Media), h
	}
	switch media {
	case ast.Any, ast.JSON:
		return JSONBody, ast.JSON, nil
	case ast.CSV:
		return CSVBody, media, nil
	case ast.GeoJSON:
		return GeoJSONBody, media, nil
	}
	return NoBody, "", nil
}

// handler finds the users' own handler. One for a table takes its rows as they
// are: it is none for a selection of columns.
func (b *builder) handler(read *Read, media string) *schema.Handler {
	if read.isWhole() {
		for _, takes := range []string{string(ast.Any), media} {
			if h := b.schema.Handler(read.Of, takes); h != nil {
				return h
			}
		}
	}
	return b.schema.Handler(schema.Name{}, media)
}

// isWhole reports whether exactly the rows of the table are read, by the one item "*".
func (r *Read) isWhole() bool {
	return len(r.Embeds) == 0 && len(r.Select) == 1 && r.Select[0].Field.Name == "*"
}
