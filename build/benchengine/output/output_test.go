package output

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/paceline/paceline/build/benchengine/plan"
)

// recorded is what the programs really printed, on the small model that the project carries.
var recorded = []struct {
	file string
	task plan.Task
	want Reading
}{
	{
		"llama-bench-decode.json",
		plan.Task{Program: plan.LlamaCpp, Kind: plan.Decode, Format: "bf16", Decode: 4},
		Reading{Value: 4212.654815, Note: "llama.cpp 0c1e570, qwen2 ?B BF16, KV f16, 2 threads"},
	},
	{
		"llama-bench-prefill.json",
		plan.Task{Program: plan.LlamaCpp, Kind: plan.Prefill, Format: "bf16", Prompt: 16},
		Reading{Value: 16875.091626, Note: "llama.cpp 0c1e570, qwen2 ?B BF16, KV f16, 2 threads"},
	},
	{
		"llama-batched-bench.jsonl",
		plan.Task{Program: plan.LlamaCpp, Kind: plan.Streams, Format: "bf16", Prompt: 16, Decode: 8, Streams: 4},
		Reading{Value: 7223.476074, Note: "2 threads"},
	},
	{
		"transformers.txt",
		plan.Task{Program: plan.Transformers, Kind: plan.Prefill, Format: "bf16", Prompt: 64},
		Reading{Value: 484.74034368736665, Note: "transformers 5.24.0, torch 2.15.0+cu132"},
	},
	{
		"transformers.txt",
		plan.Task{Program: plan.Transformers, Kind: plan.Decode, Format: "bf16", Decode: 8},
		Reading{Value: 16.89763152060691, Note: "transformers 5.24.0, torch 2.15.0+cu132"},
	},
	{
		"candle.txt",
		plan.Task{Program: plan.Candle, Kind: plan.Decode, Format: "f32", Decode: 8},
		Reading{Value: 161.53931785217242},
	},
	{
		"engine-decode.txt",
		plan.Task{Program: plan.Engine, Kind: plan.Decode, Format: "bf16", Decode: 8},
		Reading{4955.238709333749, 2889984, 15472896, "avx512bf16, weights bf16, activations f32, 2 threads"},
	},
	{
		"engine-start.txt",
		plan.Task{Program: plan.Engine, Kind: plan.Start, Format: "bf16", Prompt: 16},
		Reading{0.015490618, 2889984, 15472896, "avx512bf16, weights bf16, activations f32, 2 threads"},
	},
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestReadsWhatThePinnedProgramsPrint(t *testing.T) {
	for _, c := range recorded {
		t.Run(c.task.String(), func(t *testing.T) {
			got, err := Read(c.task, read(t, c.file))
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("read %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

// TestRefusesAnotherTasksOutput guards against comparing unlike things.
func TestRefusesAnotherTasksOutput(t *testing.T) {
	for _, c := range recorded {
		if c.task.Program == plan.Engine {
			continue // its line doesn't repeat the task, which is in the command
		}
		task := c.task
		task.Prompt, task.Decode, task.Streams = task.Prompt+1, task.Decode+1, task.Streams+1
		if got, err := Read(task, read(t, c.file)); err == nil {
			t.Errorf("%s was read as %s: %+v", c.file, task, got)
		}
	}
}

func TestErrorsQuoteWhatWasPrinted(t *testing.T) {
	decode := plan.Task{Program: plan.LlamaCpp, Kind: plan.Decode, Format: "bf16", Decode: 4}
	streams := plan.Task{Program: plan.LlamaCpp, Kind: plan.Streams, Decode: 4, Streams: 2}
	candle := plan.Task{Program: plan.Candle, Kind: plan.Decode, Format: "f32", Decode: 4}
	for _, c := range []struct {
		name string
		task plan.Task
		out  string
		want string
	}{
		{"nothing", decode, "", "nothing"},
		{"words", decode, "error: failed to load model", "failed to load model"},
		{"no test", decode, "[]", "0 tests"},
		{"two tests", decode, `[{"n_gen":4,"avg_ts":1},{"n_gen":4,"avg_ts":1}]`, "2 tests"},
		{"no rate", decode, `[{"n_gen":4}]`, "value 0"},
		{"a negative rate", decode, `[{"n_gen":4,"avg_ts":-1}]`, "value -1"},
		{"no line of streams", streams, "main: n_kv_max = 1\n", "no line is an object"},
		{"half a line of streams", streams, "{\"pl\": 2", `{\"pl\": 2`},
		{"candle's panic", candle, "thread 'main' panicked", "panicked"},
		{"too large", candle, `{"decode_tokens":4,"decode_tok_per_s":1e999}`, "1e999"},
		{"another program", plan.Task{Program: "vllm"}, "{}", `"vllm"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r, err := Read(c.task, []byte(c.out)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %+v, %v; want an error with %q", r, err, c.want)
			}
		})
	}
}

func TestWhatTheEngineCannotDoIsToldApart(t *testing.T) {
	task := plan.Task{Program: plan.Engine, Kind: plan.Decode, Format: "w8", Decode: 8}
	_, err := Read(task, read(t, "engine-unsupported.txt"))
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "quantised weights") {
		t.Errorf("error %v, want ErrUnsupported with the engine's reason", err)
	}
}

func FuzzRead(f *testing.F) {
	for _, c := range recorded {
		f.Add(string(c.task.Program), string(c.task.Kind), read(f, c.file))
	}
	f.Add("paceline", "decode", []byte(`{"unsupported":"x"}`))
	f.Fuzz(func(t *testing.T, program, kind string, out []byte) {
		r, err := Read(plan.Task{Program: plan.Program(program), Kind: plan.Kind(kind)}, out)
		if err == nil && !(r.Value > 0) {
			t.Errorf("value %v without an error", r.Value)
		}
		if err != nil && !reflect.DeepEqual(r, Reading{}) {
			t.Errorf("a reading %+v beside the error %v", r, err)
		}
	})
}
