package imports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// readJSON reads values: an array of objects, or objects one after the other.
func readJSON(name string, b []byte) (*Document, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	line, counted := 1, int64(0)
	lineAt := func() int {
		at := dec.InputOffset()
		line, counted = line+bytes.Count(b[counted:at], []byte("\n")), at
		return line
	}
	array := bytes.HasPrefix(bytes.TrimSpace(b), []byte("["))
	if array {
		if _, err := dec.Token(); err != nil {
			return nil, err
		}
	}
	var rows []row
	for dec.More() {
		var raw map[string]json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, fmt.Errorf("value %d, line %d: %w", len(rows)+1, lineAt(), cutOff(err))
		}
		x, err := jsonRow(raw)
		if err != nil {
			return nil, fmt.Errorf("value %d, line %d: %w", len(rows)+1, lineAt(), err)
		}
		x.line = lineAt()
		rows = append(rows, x)
	}
	if array {
		if _, err := dec.Token(); err != nil {
			return nil, fmt.Errorf("line %d: %w", lineAt(), cutOff(err))
		}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("line %d: something follows the last value", lineAt())
	}
	return fromRows(name, rows)
}

// cutOff says what the end of a file in its middle may mean.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it ends in the middle: was the file cut off?")
	}
	return err
}

func jsonRow(raw map[string]json.RawMessage) (row, error) {
	var x row
	fields := map[string]any{"name": &x.name, "value": &x.value, "unit": &x.unit, "direction": &x.direction, "round": &x.round}
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		text := raw[key]
		to, ok := fields[key]
		if !ok {
			return x, fmt.Errorf("key %w", unknownColumn(key))
		}
		if bytes.Equal(text, []byte("null")) {
			return x, fmt.Errorf("%s is null: leave out what isn't known", key)
		}
		if err := json.Unmarshal(text, to); err != nil {
			return x, fmt.Errorf("%s is %.40s: %s", key, text, wanted(key))
		}
	}
	if _, ok := raw["value"]; !ok {
		return x, fmt.Errorf("%.40q has no value", x.name)
	}
	if _, ok := raw["round"]; ok && x.round < 1 {
		return x, fmt.Errorf("%s: round %d is no number from 1", x.name, x.round)
	}
	return x, nil
}

func wanted(key string) string {
	switch key {
	case "value":
		return "write a number"
	case "round":
		return "write a whole number from 1"
	}
	return "write a text in quotes"
}
