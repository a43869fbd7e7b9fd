package plan

import (
	"fmt"
	"slices"
	"strings"
)

// Check is how a target is judged.
type Check string

// The checks. For a kind where less is better Ratio is peer over ours: above 1 we are
// ahead, always.
const (
	Ratio   Check = "ratio"    // ours over the peer of the same round: the median is at least Want
	Share   Check = "share"    // bytes read a second over the read probe beside it: the median is at least Want
	AtLeast Check = "at least" // our median
	AtMost  Check = "at most"  // our median
	Needed  Check = "needed"   // our value over the bytes that are needed: the median is at most Want
)

// Target is one thing to reach.
type Target struct {
	Check Check   `json:"check"`
	Want  float64 `json:"want"`
	// Lower is what the lower bound of the ratio's 95 % interval must reach too; 0: nothing.
	Lower float64 `json:"lower,omitempty"`
	Peer  *Task   `json:"peer,omitempty"` // of a ratio
}

// Row is one line to reach: our task, and the targets with their peers.
type Row struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Ours    Task     `json:"ours"`
	Targets []Target `json:"targets"`
}

// Tasks of the row, ours first, each once.
func (r Row) Tasks() []Task {
	list := []Task{r.Ours}
	for _, t := range r.Targets {
		if t.Peer != nil && !slices.Contains(list, *t.Peer) {
			list = append(list, *t.Peer)
		}
	}
	return list
}

// Lengths that the table uses, in tokens.
const (
	decodeTokens  = 64
	shortPrompt   = 512
	longPrompt    = 2048
	httpPrompt    = 128
	contextLength = 4096
	startPrompt   = 16
	streamPrompt  = 16
	streamTokens  = 32
)

// peerFormat is what llama.cpp calls the format nearest to one of ours.
func peerFormat(ours string) string {
	return map[string]string{"bf16": "bf16", "w8": "q8_0", "w4": "q4_0"}[ours]
}

// compute is the type of activations that the engine is asked for. With bf16 weights: exact
// f32 where one token at a time is bound by memory and rounding gains nothing, else bf16, as
// the peers round. Quantised formats have one of their own.
func compute(k Kind, format string) string {
	switch {
	case format != "bf16":
		return ""
	case k == Decode || k == Start:
		return "f32"
	}
	return "bf16"
}

// Table is what the engine has to reach: the aims of this project for the CPU backend, on
// Qwen2.5-0.5B.
func Table() []Row {
	task := func(k Kind, format string) Task {
		return Task{Program: Engine, Kind: k, Format: format, Compute: compute(k, format)}
	}
	var rows []Row
	add := func(id, title string, ours Task, targets ...Target) {
		rows = append(rows, Row{ID: id, Title: title, Ours: ours, Targets: targets})
	}
	against := func(want float64, ours Task, program Program, format string) Target {
		peer := ours
		peer.Program, peer.Format, peer.Compute = program, format, ""
		return Target{Check: Ratio, Want: want, Peer: &peer}
	}
	llama := func(want float64, ours Task) Target { return against(want, ours, LlamaCpp, peerFormat(ours.Format)) }

	decode := func(format string) Task {
		t := task(Decode, format)
		t.Decode = decodeTokens
		return t
	}
	bf16, w8, w4 := decode("bf16"), decode("w8"), decode("w4")
	same := llama(1, bf16)
	same.Lower = 0.97
	add("decode-bf16", "decode 64, bf16", bf16, same, Target{Check: Share, Want: 0.88}, against(2.7, bf16, Candle, "f32"))
	add("decode-w8", "decode 64, W8", w8, llama(1.25, w8), Target{Check: Share, Want: 0.80})
	add("decode-w4", "decode 64, W4 with W8 head", w4, llama(1.2, w4), Target{Check: Share, Want: 0.78}, against(7, w4, Candle, "f32"))

	prefill := func(format string, n int) Task {
		t := task(Prefill, format)
		t.Prompt = n
		return t
	}
	pb, p8, p4 := prefill("bf16", shortPrompt), prefill("w8", shortPrompt), prefill("w4", shortPrompt)
	add("prefill-bf16", "prefill 512, bf16", pb, llama(1.25, pb), against(1.1, pb, Transformers, "bf16"))
	add("prefill-w8", "prefill 512, W8", p8, llama(2.2, p8))
	add("prefill-w4", "prefill 512, W4", p4, llama(1.6, p4))
	pf := pb
	pf.Compute = "f32"
	add("prefill-exact", "prefill 512, exact f32", pf, Target{Check: AtLeast, Want: 200})
	for _, short := range []Task{pb, p8, p4} {
		long := short
		long.Prompt = longPrompt
		add("prefill-long-"+short.Format, "prefill 2048 against 512, "+formatTitle(short.Format), long, Target{Check: Ratio, Want: 0.85, Peer: &short})
	}

	for _, format := range []string{"bf16", "w8"} {
		for _, n := range []int{8, 32} {
			t := task(Streams, format)
			t.Prompt, t.Decode, t.Streams = streamPrompt, streamTokens, n
			add(fmt.Sprintf("streams-%d-%s", n, format), fmt.Sprintf("aggregate decode, %d streams, %s", n, formatTitle(format)), t, llama(1.2, t))
		}
	}
	for _, format := range []string{"bf16", "w8"} {
		t := task(TTFT, format)
		t.Prompt = httpPrompt
		add("ttft-"+format, "TTFT, 128 prompt tokens over HTTP, "+formatTitle(format), t, llama(1.3, t))
	}
	for _, format := range []string{"bf16", "w8"} {
		t := task(Memory, format)
		t.Prompt, t.Decode = contextLength-decodeTokens, decodeTokens
		add("memory-"+format, "resident at 4,096 tokens of context, "+formatTitle(format), t, Target{Check: Needed, Want: 1.15})
	}
	start := func(format, title string, want float64) {
		t := task(Start, format)
		t.Prompt = startPrompt
		add("start-"+format, "start to first token, "+title, t, Target{Check: AtMost, Want: want})
	}
	start("bf16", "bf16", 1.5)
	start("w8", "W8 packed", 0.8)
	return rows
}

func formatTitle(format string) string {
	if format == "bf16" {
		return format
	}
	return strings.ToUpper(format)
}

// Only gives the rows whose ids are named or begin with a name and a hyphen; all for no
// names. A name that fits no row is an error that lists them.
func Only(rows []Row, names []string) ([]Row, error) {
	if len(names) == 0 {
		return rows, nil
	}
	var out []Row
	fits := func(r Row, name string) bool { return r.ID == name || strings.HasPrefix(r.ID, name+"-") }
	for _, name := range names {
		if !slices.ContainsFunc(rows, func(r Row) bool { return fits(r, name) }) {
			var ids []string
			for _, r := range rows {
				ids = append(ids, r.ID)
			}
			return nil, fmt.Errorf("no row is called %q; there are: %s", name, strings.Join(ids, ", "))
		}
	}
	for _, r := range rows {
		if slices.ContainsFunc(names, func(name string) bool { return fits(r, name) }) {
			out = append(out, r)
		}
	}
	return out, nil
}
