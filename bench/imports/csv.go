package imports

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// isHeader says whether a line names the columns of a CSV of values.
func isHeader(line string) bool {
	names := header(strings.FieldsFunc(line, func(r rune) bool { return r == ',' || r == ';' || r == '\t' }))
	return slices.Contains(names, "name") && slices.Contains(names, "value")
}

// header are the columns' names without what spreadsheets put around them.
func header(cells []string) []string {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = strings.ToLower(strings.Trim(c, " \t\""))
	}
	return out
}

// readCSV reads values in columns that the first line names: name and value, and if
// there are unit, direction and round.
func readCSV(name string, b []byte) (*Document, error) {
	if first := firstLine(bytes.TrimSpace(b)); !strings.Contains(first, ",") {
		return nil, fmt.Errorf("its columns are not separated by commas: %.80s", first)
	}
	r := csv.NewReader(bytes.NewReader(b))
	r.TrimLeadingSpace = true
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	at := map[string]int{}
	for i, h := range header(head) {
		if !slices.Contains(columns(), h) {
			return nil, fmt.Errorf("column %w", unknownColumn(h))
		}
		if _, twice := at[h]; twice {
			return nil, fmt.Errorf("column %q is there twice", h)
		}
		at[h] = i
	}
	var rows []row
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return fromRows(name, rows)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: was the file cut off?", err)
		}
		line, _ := r.FieldPos(0)
		x, err := csvRow(rec, at)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		x.line = line
		rows = append(rows, x)
	}
}

func csvRow(rec []string, at map[string]int) (row, error) {
	get := func(column string) string {
		if i, ok := at[column]; ok {
			return strings.TrimSpace(rec[i])
		}
		return ""
	}
	x := row{name: get("name"), unit: get("unit"), direction: get("direction")}
	var err error
	if x.value, err = strconv.ParseFloat(get("value"), 64); err != nil {
		return x, fmt.Errorf("%s: value %.40q is no number", x.name, get("value"))
	}
	if text := get("round"); text != "" {
		if x.round, err = strconv.Atoi(text); err != nil || x.round < 1 {
			return x, fmt.Errorf("%s: round %.40q is no number from 1", x.name, text)
		}
	}
	return x, nil
}
