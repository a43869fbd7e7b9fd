package api

import (
	"fmt"
	"net/http"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
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
				Description: "Speed of language models, measured and judged. Errors are problem details (RFC 9457) with a `fix`: what to do next. Without tokens the server answers the machine that it runs on only.",
			},
			Components: &huma.Components{Schemas: huma.NewMapRegistry(schemaPrefix, schemaName)},
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

// operation describes a route of version 1. Every route may fail as the first
// three of the statuses do; more are those it may have besides.
func operation(method, below, id, tag, summary, description string, more ...int) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: method, Path: Prefix + below, Tags: []string{tag}, Summary: summary, Description: description,
		Errors: append([]int{http.StatusForbidden, http.StatusUnprocessableEntity, http.StatusInternalServerError, http.StatusServiceUnavailable}, more...),
	}
}

// get is an operation that reads.
func get(below, id, tag, summary, description string, more ...int) huma.Operation {
	return operation(http.MethodGet, below, id, tag, summary, description, more...)
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
