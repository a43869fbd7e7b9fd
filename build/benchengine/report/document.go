// Package report is what benchengine leaves behind: a versioned JSON document with every
// sample, and the tables that people read.
package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/paceline/paceline/build/benchengine/plan"
)

// FileVersion of the document.
const FileVersion = 1

// Document is one run of benchengine.
type Document struct {
	Version  int               `json:"version"`
	Machine  Machine           `json:"machine"`
	Model    string            `json:"model"`    // its folder's name
	Versions map[string]string `json:"versions"` // of the peers
	Threads  int               `json:"threads"`
	Rounds   int               `json:"rounds"`
	Began    time.Time         `json:"began"`
	Took     time.Duration     `json:"took_ns"`
	Warnings []string          `json:"warnings,omitempty"`
	Rows     []Row             `json:"rows"`
	Samples  []plan.Sample     `json:"samples"`
}

// Machine is where it ran and what was measured. What isn't known is empty.
type Machine struct {
	Host        string  `json:"host"`
	OS          string  `json:"os"`
	Kernel      string  `json:"kernel"`
	CPU         string  `json:"cpu"`
	ISA         string  `json:"isa"`
	Cores       int     `json:"cores"` // logical CPUs
	Governor    string  `json:"governor,omitempty"`
	MemoryBytes int64   `json:"memory_bytes"`
	Load1       float64 `json:"load_1"` // when it began
	Go          string  `json:"go"`
	Commit      string  `json:"commit"`
}

// Row is a row of the table with its outcomes.
type Row struct {
	plan.Row
	Outcomes []plan.Outcome `json:"outcomes"`
}

// WriteFile writes the document as JSON.
func WriteFile(path string, d Document) error {
	data, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("write the samples: %w", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the samples: %w", err)
	}
	return nil
}

// ReadFile reads what WriteFile wrote.
func ReadFile(path string) (Document, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Document{}, fmt.Errorf("read earlier samples: %w", err)
	}
	d, err := Parse(data)
	if err != nil {
		return Document{}, fmt.Errorf("read earlier samples %s: %w", path, err)
	}
	return d, nil
}

// Parse reads a document strictly, and judges its samples anew by the targets that it has,
// so that no outcome is believed without its samples.
func Parse(data []byte) (Document, error) {
	var d Document
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return Document{}, err
	}
	if d.Version != FileVersion {
		return Document{}, fmt.Errorf("it has version %d, this program reads %d", d.Version, FileVersion)
	}
	for i, r := range d.Rows {
		for _, t := range r.Targets {
			if t.Check == plan.Ratio && t.Peer == nil {
				return Document{}, fmt.Errorf("a ratio of row %q names no peer", r.ID)
			}
		}
		d.Rows[i].Outcomes = plan.Judge(r.Row, d.Samples)
	}
	return d, nil
}

// Limits from which a sample counts as disturbed.
const (
	busyShare  = 0.05
	stealShare = 0.04
)

// Busy says how many samples were disturbed by others.
func Busy(samples []plan.Sample) []string {
	busy, stolen := 0, 0
	for _, s := range samples {
		if s.OtherShare > busyShare {
			busy++
		}
		if s.StealShare > stealShare {
			stolen++
		}
	}
	var out []string
	if busy > 0 {
		out = append(out, fmt.Sprintf("other processes used more than %.0f %% of the CPUs during %d of %d samples", 100*busyShare, busy, len(samples)))
	}
	if stolen > 0 {
		out = append(out, fmt.Sprintf("the hypervisor took more than %.0f %% of the CPUs during %d of %d samples", 100*stealShare, stolen, len(samples)))
	}
	return out
}
