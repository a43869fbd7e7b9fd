package api

import (
	"fmt"
	"net/http"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/paceline/paceline/coordinator/access"
)

// schemaPrefix is where schemas lie in the OpenAPI document.
const schemaPrefix = "#/components/schemas/"

// config is huma's, without the pages that it would load from elsewhere.
func (a *api) config() huma.Config {
	json := huma.DefaultJSONFormat
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "Paceline",
				Version:     "1",
				Description: "Speed of language models, measured and judged. Errors are problem details (RFC 9457) with a `fix`: what to do next. A coordinator takes tokens (`Authorization: Bearer`); `paceline up` has none and answers the machine that it runs on only.",
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry(schemaPrefix, schemaName),
				SecuritySchemes: map[string]*huma.SecurityScheme{"token": {
					Type: "http", Scheme: "bearer", Description: "An API token; its scope is read, submit or admin, each with what stands before it.",
				}},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": json, "json": json},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true, // a misspelt filter must not be a wider question
		Transformers:                 []huma.Transformer{withFix},
	}
}

// schemaName tells types of one name apart by their package: there are a Run of
// result, of the ledger and of the gate.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	pkg := path.Base(t.PkgPath())
	switch {
	case t.Name() == "" || pkg == "api" || pkg == "v2" || pkg == ".":
		return name
	case strings.HasPrefix(strings.ToLower(name), pkg):
		return name
	}
	return strings.ToUpper(pkg[:1]) + pkg[1:] + name
}

// mend says in the description what huma can't know: the member `fix` of problems,
// and that a field with omitzero may be absent.
func mend(o *huma.OpenAPI) {
	for name, s := range o.Components.Schemas.Map() {
		if name == "ErrorModel" {
			s.Properties["fix"] = &huma.Schema{Type: huma.TypeString, Description: "What to do next"}
		}
		t := o.Components.Schemas.TypeFromRef(schemaPrefix + name)
		if t == nil || t.Kind() != reflect.Struct {
			continue
		}
		for _, f := range reflect.VisibleFields(t) {
			tag := strings.Split(f.Tag.Get("json"), ",")
			if slices.Contains(tag[1:], "omitzero") {
				s.Required = slices.DeleteFunc(s.Required, func(r string) bool { return r == tag[0] })
			}
		}
	}
}

// scopeKey is where an operation says which scope it needs.
const scopeKey = "scope"

// public is the scope of operations that need no token.
const public access.Scope = ""

// needs is the operation with another scope than it had.
func needs(scope access.Scope, op huma.Operation) huma.Operation {
	op.Metadata = map[string]any{scopeKey: scope}
	op.Security = []map[string][]string{}
	if scope != public {
		op.Security = append(op.Security, map[string][]string{"token": {string(scope)}})
	}
	return op
}

// operation describes a route of version 1 that changes something, and so needs the
// scope submit. Every route may fail as the first statuses do; more are those it may
// have besides.
func operation(method, below, id, tag, summary, description string, more ...int) huma.Operation {
	return needs(access.Submit, huma.Operation{
		OperationID: id, Method: method, Path: Prefix + below, Tags: []string{tag}, Summary: summary, Description: description,
		Errors: append([]int{
			http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity, http.StatusInternalServerError, http.StatusServiceUnavailable,
		}, more...),
	})
}

// get is an operation that reads, with the scope read.
func get(below, id, tag, summary, description string, more ...int) huma.Operation {
	return needs(access.Read, operation(http.MethodGet, below, id, tag, summary, description, more...))
}

// streamed describes the answer of an operation that writes a stream.
func streamed(op huma.Operation, mediaType, description string) huma.Operation {
	op.Responses = map[string]*huma.Response{"200": {
		Description: description,
		Content:     map[string]*huma.MediaType{mediaType: {Schema: &huma.Schema{Type: huma.TypeString, Description: description}}},
	}}
	return op
}

// routeOf is the path of an OpenAPI document as gin writes it: "/a/{id}" → "/a/:id".
func routeOf(openAPIPath string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(openAPIPath)
}

// OpenAPI gives the description of the API, JSON.
func OpenAPI(d Deps) ([]byte, error) {
	_, o, err := build(d)
	if err != nil {
		return nil, err
	}
	return encode(o)
}

// encode writes the document so that a person can compare two of them.
func encode(o *huma.OpenAPI) ([]byte, error) {
	b, err := o.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	return indent(b)
}
