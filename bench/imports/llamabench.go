package imports

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
)

// llamaColumns are those that every output of llama-bench has, by which it is known.
func llamaColumns() []string { return []string{"build_commit", "n_prompt", "n_gen", "avg_ts"} }

// readLlama reads what llama-bench writes as JSON, JSON lines, CSV or SQL. Each repetition is a round where they are there
// (JSON), else their mean is the only one.
func readLlama(name string, b []byte) (*Document, error) {
	rows, err := llamaRows(b)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%w: it has no test; llama-bench writes its JSON at the end: was it killed?", ErrFormat)
	}
	d := newBuilder("llama-bench", name)
	for i, row := range rows {
		if err := d.llama(row); err != nil {
			return nil, fmt.Errorf("test %d: %w", i+1, err)
		}
	}
	return d.doc, nil
}

// llama adds a test: a prompt of n_prompt tokens, n_gen generated ones, or both, behind n_depth that are there already.
func (b *builder) llama(row map[string]any) error {
	get := func(key string) string { return textOf(row[key]) }
	num := func(key string) (float64, error) {
		f, err := strconv.ParseFloat(get(key), 64)
		if err != nil {
			return 0, fmt.Errorf("field %s is %.40q: want a number", key, get(key))
		}
		return f, nil
	}
	prompt, err := num("n_prompt")
	if err != nil {
		return err
	}
	made, err := num("n_gen")
	if err != nil {
		return err
	}
	samples, _ := row["samples_ts"].([]any)
	if len(samples) == 0 {
		samples = []any{row["avg_ts"]}
	}
	b.doc.Run.Subject.Model = get("model_filename")
	point := map[string]string{
		"input_tokens": whole(prompt), "output_tokens": whole(made), "threads": get("n_threads"), "backend": get("backends"), "model": get("model_type"),
		"batch": get("n_batch"), "ubatch": get("n_ubatch"), "kv": get("type_k"), "flash_attn": get("flash_attn"), "gpu_layers": get("n_gpu_layers"),
	}
	if depth := get("n_depth"); depth != "0" {
		point["depth"] = depth
	}
	c := b.setting(result.Hardware{CPUModel: get("cpu_info"), GPUModel: get("gpu_info")}, "llama-bench", get("model_filename"), point)
	for i, s := range samples {
		rate, err := strconv.ParseFloat(textOf(s), 64)
		if err != nil || rate <= 0 {
			return fmt.Errorf("repetition %d has the speed %.40v: want a number of tokens a second", i+1, s)
		}
		values := map[string]float64{"total_rate": rate} // both at once
		switch {
		case made == 0:
			values = map[string]float64{"prefill_rate.p50": rate}
		case prompt == 0: // one stream
			values = map[string]float64{"output_rate": rate, "tpot.p50": 1000 / rate}
		}
		for _, id := range []string{"prefill_rate.p50", "output_rate", "tpot.p50", "total_rate"} {
			v, ok := values[id]
			if !ok {
				continue
			}
			if err := c.add(id, "", metric.Neutral, v); err != nil {
				return err
			}
			b.from(c, id, "samples_ts")
		}
		c.next()
	}
	return nil
}

// llamaRows gives the tests of a file by column.
func llamaRows(b []byte) (rows []map[string]any, err error) {
	b = bytes.TrimSpace(b)
	switch {
	case bytes.HasPrefix(b, []byte("[")):
		return rows, decode(b, &rows)
	case bytes.HasPrefix(b, []byte("{")):
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.UseNumber()
		for {
			var row map[string]any
			err := dec.Decode(&row)
			if errors.Is(err, io.EOF) {
				return rows, nil
			}
			if err != nil {
				return nil, fmt.Errorf("test %d: %w", len(rows)+1, cutOff(err))
			}
			rows = append(rows, row)
		}
	case isSQL(b):
		return sqlRows(b)
	}
	r := csv.NewReader(bytes.NewReader(b))
	all, err := r.ReadAll()
	if err != nil {
		return nil, err
	}
	for _, fields := range all[1:] {
		row := map[string]any{}
		for i, f := range fields {
			row[all[0][i]] = f
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// isSQL says whether a text is llama-bench's SQL.
func isSQL(b []byte) bool {
	return bytes.HasPrefix(b, []byte("CREATE TABLE IF NOT EXISTS llama_bench")) || bytes.HasPrefix(b, []byte("INSERT INTO llama_bench"))
}

// isLlamaHeader says whether a line is the head of llama-bench's CSV.
func isLlamaHeader(line string) bool {
	fields := strings.Split(line, ",")
	for _, c := range llamaColumns() {
		if !slices.Contains(fields, c) {
			return false
		}
	}
	return true
}

// sqlRows reads the INSERT statements that llama-bench writes: a list of columns and one of values in quotes.
func sqlRows(b []byte) (rows []map[string]any, err error) {
	return rows, lines(b, func(n int, line string) error {
		rest, ok := strings.CutPrefix(line, "INSERT INTO llama_bench (")
		if !ok {
			return nil
		}
		names, values, ok := strings.Cut(rest, ") VALUES (")
		body, whole := strings.CutSuffix(strings.TrimSpace(values), ");")
		if !ok || !whole {
			return fmt.Errorf("line %d: the statement has no end: was the file cut off?", n)
		}
		columns := strings.Split(names, ", ")
		fields, err := quotedList(body)
		if err != nil || len(fields) != len(columns) {
			return fmt.Errorf("line %d: %d values for %d columns", n, len(fields), len(columns))
		}
		row := map[string]any{}
		for i, c := range columns {
			row[c] = fields[i]
		}
		rows = append(rows, row)
		return nil
	})
}

// quotedList reads 'a', 'b', … where two quotes in a text are one.
func quotedList(s string) (fields []string, err error) {
	for s != "" {
		if s[0] != '\'' {
			return fields, errors.New("no quote")
		}
		var field strings.Builder
		i := 1
		for ; i < len(s); i++ {
			if s[i] != '\'' {
				field.WriteByte(s[i])
				continue
			}
			if i+1 >= len(s) || s[i+1] != '\'' {
				break
			}
			field.WriteByte('\'')
			i++
		}
		if i >= len(s) {
			return fields, errors.New("no closing quote")
		}
		fields = append(fields, field.String())
		s = strings.TrimPrefix(s[i+1:], ", ")
	}
	return fields, nil
}
