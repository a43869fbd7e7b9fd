package output

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/paceline/paceline/build/benchengine/plan"
)

func everything() Programs {
	return Programs{
		Engine: "/e/benchengine", Models: map[string]string{"bf16": "/m/bf16", "w8": "/m/w8", "w4": "/m/w4"},
		Llama: "/l", GGUF: map[string]string{"bf16": "/g/bf16.gguf", "q8_0": "/g/q8_0.gguf", "q4_0": "/g/q4_0.gguf"},
		Candle: "/c/candle-peer", Python: "/p/python", Script: "/p/t.py", Threads: 2,
		Plain: map[string]string{"bf16": "/m/plain", "w8": "/m/plain8"},
	}
}

func TestEveryTaskOfTheTableHasACommand(t *testing.T) {
	for _, r := range plan.Table() {
		for _, task := range r.Tasks() {
			args, err := everything().Command(task, 4711)
			if err != nil || len(args) < 3 || slices.Contains(args, "") && !slices.Contains(args, "-compute") {
				t.Errorf("%s: %q, %v", task, args, err)
			}
		}
	}
}

func TestCommands(t *testing.T) {
	p := everything()
	for _, c := range []struct {
		name     string
		programs Programs
		task     plan.Task
		want     string // part of the command
	}{
		{"decode by llama.cpp", p, plan.Task{Program: plan.LlamaCpp, Kind: plan.Decode, Format: "q4_0", Decode: 64}, "/l/llama-bench -m /g/q4_0.gguf -p 0 -n 64 -t 2 -r 1 -o json"},
		{"prefill by llama.cpp", p, plan.Task{Program: plan.LlamaCpp, Kind: plan.Prefill, Format: "bf16", Prompt: 512}, "-p 512 -n 0"},
		{"streams hold their context", p, plan.Task{Program: plan.LlamaCpp, Kind: plan.Streams, Format: "bf16", Prompt: 16, Decode: 32, Streams: 8}, "-c 384 -b 2048 -ub 512 -npp 16 -ntg 32 -npl 8"},
		{"a server", p, plan.Task{Program: plan.LlamaCpp, Kind: plan.TTFT, Format: "bf16", Prompt: 128}, "--port 4711"},
		{"a packed folder", p, plan.Task{Program: plan.Engine, Kind: plan.Decode, Format: "w8", Decode: 64}, "-folder /m/w8 -compute"},
		{"start without a tokenizer", p, plan.Task{Program: plan.Engine, Kind: plan.Start, Format: "bf16", Prompt: 16}, "-folder /m/plain "},
		{"packed start without a tokenizer", p, plan.Task{Program: plan.Engine, Kind: plan.Start, Format: "w8", Prompt: 16}, "-folder /m/plain8 "},
		{"candle", p, plan.Task{Program: plan.Candle, Kind: plan.Decode, Format: "f32", Decode: 64}, "/c/candle-peer /m/bf16 f32 1 64"},
		{"transformers", p, plan.Task{Program: plan.Transformers, Kind: plan.Prefill, Format: "bf16", Prompt: 512}, "/p/python /p/t.py /m/bf16 bf16 2 512 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			args, err := c.programs.Command(c.task, 4711)
			if got := strings.Join(args, " "); err != nil || !strings.Contains(got, c.want) {
				t.Errorf("%q, %v; want %q in it", got, err, c.want)
			}
		})
	}
}

func TestWhatIsMissingIsNamedWithItsRemedy(t *testing.T) {
	none := Programs{Engine: "/e", Models: map[string]string{"bf16": "/m"}, Threads: 2}
	noFile := everything()
	noFile.GGUF = nil
	for _, c := range []struct {
		programs Programs
		task     plan.Task
		want     string
	}{
		{none, plan.Task{Program: plan.LlamaCpp, Kind: plan.Decode, Format: "bf16"}, "make peers PEERS=llama.cpp"},
		{noFile, plan.Task{Program: plan.LlamaCpp, Kind: plan.Decode, Format: "bf16"}, "--gguf"},
		{none, plan.Task{Program: plan.Candle, Kind: plan.Decode}, "make peers PEERS=candle"},
		{none, plan.Task{Program: plan.Transformers, Kind: plan.Prefill}, "make peers PEERS=transformers"},
		{none, plan.Task{Program: plan.Engine, Kind: plan.Start, Format: "w8"}, "-model-w8"},
	} {
		if _, err := c.programs.Command(c.task, 0); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want ErrUnsupported with %q", c.task, err, c.want)
		}
	}
	if _, err := everything().Command(plan.Task{Program: plan.LlamaCpp, Kind: plan.Memory, Format: "bf16"}, 0); err == nil || errors.Is(err, ErrUnsupported) {
		t.Errorf("a kind that llama.cpp isn't asked for: %v", err)
	}
}
