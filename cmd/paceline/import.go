package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/bench/imports"
	"github.com/paceline/paceline/bench/result"
)

func importCommand() *cobra.Command {
	var asJSON, all bool
	cmd := &cobra.Command{
		Use: "import FILE…", Short: "show what a file of measurements holds, in our metrics",
		Long: `Show what files of measurements hold: results of vllm bench serve, AIPerf, GuideLLM, inference-perf,
llmperf, trtllm-bench and llama-bench, our own result files, Go benchmarks, CSV and JSON. What a file is
is told by its contents. Values become ours by what they measure and never by what they are called; what
we have no metric for keeps the tool's name. Nothing is stored.

'paceline check' judges the same files. - is standard input.`,
		Example: `  paceline import openai-result.json
  paceline import profile_export_aiperf.json --all
  llama-bench -m model.gguf -o jsonl | paceline import - --json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			docs, err := readDocuments(cmd.InOrStdin(), args)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), importedJSON(docs))
			}
			for _, d := range docs {
				if err := printImported(cmd.OutOrStdout(), d, all); err != nil {
					return fail(exitMachine, "print: %w", err)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print everything as JSON, in the shape of a result file")
	cmd.Flags().BoolVar(&all, "all", false, "show what we have no metric for too")
	return cmd
}

// imported is a file as --json shows it.
type imported struct {
	File   string          `json:"file"`
	Format string          `json:"format"`
	Failed []string        `json:"failed,omitempty"`
	Result result.Document `json:"result"`
	// From are the fields that values came from, by cell and metric.
	From map[string]map[string]string `json:"from,omitempty"`
}

func importedJSON(docs []*imports.Document) (list []imported) {
	for _, d := range docs {
		x := imported{File: d.Name, Format: string(d.Format), Failed: d.Failed, Result: d.Document}
		for s, f := range d.From {
			if x.From == nil {
				x.From = map[string]map[string]string{}
			}
			if x.From[s.Cell] == nil {
				x.From[s.Cell] = map[string]string{}
			}
			x.From[s.Cell][string(s.Metric)] = f
		}
		list = append(list, x)
	}
	return list
}

// printImported prints a file's values: a line a metric, with those of its rounds.
func printImported(w io.Writer, d *imports.Document, all bool) error {
	fmt.Fprintf(w, "%s: %s, %s\n", d.Name, d.Format, countOf(len(d.Rounds), "round"))
	for _, f := range d.Failed {
		fmt.Fprintf(w, "the measurement failed: %s\n", f)
	}
	kept, shown := 0, map[string]bool{}
	for _, r := range d.Rounds {
		for _, c := range r.Cells {
			if shown[c.Cell] {
				continue
			}
			shown[c.Cell] = true
			fmt.Fprintf(w, "\n%s %s\n", c.Workload, pointText(c.Point))
			t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
			for _, v := range c.Values {
				series := imports.Series{Cell: c.Cell, Metric: v.Metric}
				def, ours := v.Metric.Def()
				if !ours && d.Shown[series] && !all {
					kept++
					continue
				}
				unit, from := def.Unit, ""
				if !ours {
					unit = d.Defs[series].Unit
				}
				if f, ok := d.From[series]; ok {
					from = "from " + f
				}
				fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", v.Metric, strings.Join(roundsOf(d, series), " "), unit, from)
			}
			if err := t.Flush(); err != nil {
				return err
			}
		}
	}
	if kept > 0 {
		fmt.Fprintf(w, "\nand %s that we have no metric for, which --all shows\n", countOf(kept, "value"))
	}
	return nil
}

// roundsOf are a series' values in the order of the rounds.
func roundsOf(d *imports.Document, s imports.Series) (values []string) {
	for _, r := range d.Rounds {
		for _, c := range r.Cells {
			if c.Cell != s.Cell {
				continue
			}
			for _, v := range c.Values {
				if v.Metric == s.Metric {
					values = append(values, fmt.Sprintf("%.6g", v.Value))
				}
			}
		}
	}
	return values
}
