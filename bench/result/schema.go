package result

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/invopop/jsonschema"
)

//go:embed result.schema.json
var schemaJSON []byte

// Schema is the JSON Schema of the result file, generated from Document.
func Schema() []byte { return bytes.Clone(schemaJSON) }

// generateSchema makes the schema from the Go types.
func generateSchema() ([]byte, error) {
	r := jsonschema.Reflector{DoNotReference: false, AllowAdditionalProperties: false}
	s := r.Reflect(&Document{})
	s.ID = "https://paceline.dev/schema/result/1"
	s.Title = "Paceline result file, version 1"
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("generate the schema: %w", err)
	}
	return append(b, '\n'), nil
}
