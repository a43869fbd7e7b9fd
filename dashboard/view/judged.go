package view

import (
	"encoding/json"
	"fmt"

	"github.com/paceline/paceline/judge/format"
	"github.com/paceline/paceline/judge/gate"
)

// Decode reads a stored report. Nothing stored gives an empty one.
func Decode(report json.RawMessage) (*format.Report, error) {
	var r format.Report
	if len(report) == 0 {
		return &r, nil
	}
	if err := json.Unmarshal(report, &r); err != nil {
		return nil, fmt.Errorf("read the report of a judgement: %w", err)
	}
	return &r, nil
}

// FromDocument reads the report that a result file holds, in any form that a JSON
// decoder or the coordinator gives it; an empty one where the run wasn't judged.
func FromDocument(verdict any) (*format.Report, error) {
	switch v := verdict.(type) {
	case nil:
		return &format.Report{}, nil
	case *format.Report:
		return v, nil
	case json.RawMessage:
		return Decode(v)
	}
	b, err := json.Marshal(verdict)
	if err != nil {
		return nil, fmt.Errorf("read the report of a result file: %w", err)
	}
	return Decode(b)
}

// checkName says which check a gated line is: "throughput concurrency 4 · output_rate".
func checkName(l format.Line) string {
	name := l.Workload
	if p := PointText(l.Point); p != "" {
		name += " " + p
	}
	return name + " · " + string(l.Metric)
}

// kindOf is the verdict on a line; empty where no rule asks.
func kindOf(l format.Line) gate.Kind {
	if l.Verdict == nil {
		return ""
	}
	return l.Verdict.Kind
}
