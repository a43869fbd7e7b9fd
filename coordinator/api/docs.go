package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
)

//go:embed docs.html
var docsHTML string

//go:embed docs.css
var docsCSS string

// document serves the description: as OpenAPI for programs and as one plain page for
// people, which needs no script and asks no other host.
func document(engine *gin.Engine, o *huma.OpenAPI) error {
	spec, err := encode(o)
	if err != nil {
		return err
	}
	page, err := docsPage(o)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(docsCSS))
	csp := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	engine.GET(BasePath+"/openapi.json", func(c *gin.Context) { c.Data(http.StatusOK, "application/vnd.oai.openapi+json", spec) })
	engine.GET(BasePath+"/docs", func(c *gin.Context) {
		c.Header("Content-Security-Policy", csp)
		c.Data(http.StatusOK, "text/html; charset=utf-8", page)
	})
	return nil
}

func indent(b []byte) ([]byte, error) {
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return nil, fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// What the page shows.
type (
	docRoute struct {
		Method, Path, ID, Summary, Description, Body, Answer, Errors string
		Params                                                       []docField
	}
	docField struct{ Name, In, Type, Doc string }
	docType  struct {
		Name   string
		Fields []docField
	}
)

// docsPage renders the description.
func docsPage(o *huma.OpenAPI) ([]byte, error) {
	var routes []docRoute
	for _, path := range slices.Sorted(maps.Keys(o.Paths)) {
		item := o.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op != nil {
				routes = append(routes, route(op))
			}
		}
	}
	var types []docType
	schemas := o.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		t := docType{Name: name}
		s := schemas[name]
		for _, f := range slices.Sorted(maps.Keys(s.Properties)) {
			in := ""
			if slices.Contains(s.Required, f) {
				in = "always"
			}
			t.Fields = append(t.Fields, docField{Name: f, In: in, Type: typeOf(s.Properties[f]), Doc: s.Properties[f].Description})
		}
		types = append(types, t)
	}
	tmpl, err := template.New("docs").Parse(docsHTML)
	if err != nil {
		return nil, fmt.Errorf("parse the API's page: %w", err)
	}
	var out bytes.Buffer
	err = tmpl.Execute(&out, map[string]any{"Title": o.Info.Title, "Description": o.Info.Description, "CSS": template.CSS(docsCSS), "Routes": routes, "Types": types})
	if err != nil {
		return nil, fmt.Errorf("render the API's page: %w", err)
	}
	return out.Bytes(), nil
}

func route(op *huma.Operation) docRoute {
	r := docRoute{Method: op.Method, Path: op.Path, ID: op.OperationID, Summary: op.Summary, Description: op.Description}
	for _, p := range op.Parameters {
		doc := p.Description
		if doc == "" {
			doc = p.Schema.Description
		}
		r.Params = append(r.Params, docField{Name: p.Name, In: p.In, Type: typeOf(p.Schema), Doc: doc})
	}
	if op.RequestBody != nil {
		for _, m := range op.RequestBody.Content {
			r.Body = typeOf(m.Schema)
		}
	}
	var errs []string
	for _, code := range slices.Sorted(maps.Keys(op.Responses)) {
		if code[0] != '2' {
			errs = append(errs, code)
			continue
		}
		for media, m := range op.Responses[code].Content {
			r.Answer = code + " " + typeOf(m.Schema)
			if media != "application/json" {
				r.Answer = code + " " + media + ". " + m.Schema.Description
			}
		}
	}
	r.Errors = strings.Join(errs, ", ")
	return r
}

// typeOf is a schema in a few words.
func typeOf(s *huma.Schema) string {
	switch {
	case s == nil:
		return "any"
	case s.Ref != "":
		return strings.TrimPrefix(s.Ref, schemaPrefix)
	case s.Type == huma.TypeArray:
		return "list of " + typeOf(s.Items)
	case s.Type == huma.TypeObject:
		if of, ok := s.AdditionalProperties.(*huma.Schema); ok {
			return "map of " + typeOf(of)
		}
	case len(s.Enum) > 0:
		return strings.Trim(strings.ReplaceAll(fmt.Sprint(s.Enum), " ", " | "), "[]")
	case s.Type == "":
		return "any"
	}
	out := s.Type
	if s.Format != "" {
		out += " (" + s.Format + ")"
	}
	return out
}
