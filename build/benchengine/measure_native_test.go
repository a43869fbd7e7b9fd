//go:build native

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paceline/paceline/build/benchengine/output"
	"github.com/paceline/paceline/build/benchengine/plan"
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/model/robotstories"
	"github.com/paceline/paceline/internal/proc"
)

func smallModel(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "robot-stories")
	if err := robotstories.Extract(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestDriverMeasuresTheEngine runs each kind that ends by itself on the small model, by the
// command that benchengine would run.
func TestDriverMeasuresTheEngine(t *testing.T) {
	dir := smallModel(t)
	t.Setenv("PACELINE_CACHE", t.TempDir())
	w8, err := packedModel(t.Context(), dir, "w8", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := packedModel(t.Context(), dir, "w8", io.Discard); err != nil || again != w8 {
		t.Errorf("the second call gives %q, %v, want %q", again, err, w8)
	}
	models := map[string]string{"bf16": dir, "w8": w8}
	programs := output.Programs{Engine: "self", Models: models, Plain: models, Threads: 1}
	perToken := map[string]float64{}
	for _, task := range []plan.Task{
		{Kind: plan.Decode, Decode: 8, Compute: "f32"},
		{Kind: plan.Decode, Decode: 8, Format: "w8"},
		{Kind: plan.Prefill, Prompt: 100, Compute: "bf16"},
		{Kind: plan.Streams, Prompt: 8, Decode: 64, Streams: 3},
		{Kind: plan.Memory, Prompt: 4000, Decode: 96},
		{Kind: plan.Start, Prompt: 16},
	} {
		task.Program = plan.Engine
		if task.Format == "" {
			task.Format = "bf16"
		}
		t.Run(string(task.Kind)+" "+task.Format, func(t *testing.T) {
			args, err := programs.Command(task, 0)
			if err != nil {
				t.Fatal(err)
			}
			var out, errs bytes.Buffer
			if code := measureMain(t.Context(), args[2:], &out, &errs); code != 0 {
				t.Fatalf("exit %d: %s", code, errs.String())
			}
			r, err := output.Read(task, out.Bytes())
			if err != nil || r.BytesPerToken < 1e6 || r.NeededBytes <= r.BytesPerToken || !strings.Contains(r.Note, "1 threads") {
				t.Errorf("%+v, %v from %s", r, err, out.String())
			}
			perToken[task.Format] = r.BytesPerToken
			if first, _, _ := strings.Cut(out.String(), "\n"); task.Kind == plan.Start && first != "{}" {
				t.Errorf("no line came with the first token but %q", first)
			}
		})
	}
	if b, w := perToken["bf16"], perToken["w8"]; w > 0.6*b || w < 0.4*b {
		t.Errorf("W8 reads %v bytes a token and bf16 %v", w, b)
	}
}

func TestDriverSaysWhatItCannot(t *testing.T) {
	dir := smallModel(t)
	for _, c := range []struct {
		name string
		args []string
		code int
		want string // on standard error, or as unsupported
	}{
		{"no kind", nil, 2, "needs a kind"},
		{"an unknown kind", []string{"dance", "-folder", dir}, 1, `"dance"`},
		{"an unknown flag", []string{"decode", "-what"}, 2, "-what"},
		{"no model", []string{"decode", "-folder", filepath.Join(dir, "nothing")}, 1, "nothing"},
		{"activations that the format has not", []string{"decode", "-folder", dir, "-compute", "int8", "-decode", "1"}, 1, "int8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := measureMain(t.Context(), c.args, &out, &errs)
			said := errs.String()
			if c.code == 0 {
				var m output.Measured
				if err := json.Unmarshal(out.Bytes(), &m); err != nil {
					t.Fatal(err)
				}
				said = m.Unsupported
			}
			if code != c.code || !strings.Contains(said, c.want) {
				t.Errorf("exit %d with %q, want %d with %q", code, said, c.code, c.want)
			}
		})
	}
}

// TestDriverServes asks our own server what benchengine asks it.
func TestDriverServes(t *testing.T) {
	dir := smallModel(t)
	port, err := proc.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	var out, errs bytes.Buffer
	go func() {
		defer close(ended)
		measureMain(ctx, []string{"ttft", "-folder", dir, "-port", fmt.Sprint(port)}, &out, &errs)
	}()
	address := fmt.Sprintf("http://127.0.0.1:%d", port)
	if err := awaitReady(ctx, http.DefaultClient, address, ended); err != nil {
		t.Fatal(err)
	}
	times, err := timesToFirst(ctx, http.DefaultClient, address, 32, 2000)
	if err != nil || len(times) != ttftMeasured {
		t.Errorf("times %v, %v", times, err)
	}
	cancel()
	<-ended
}

// TestWeightSizes holds the sizes against sums by hand: Qwen2.5-0.5B has 494,032,768 numbers,
// of which 493,961,216 are in matrices, 136,134,656 of those in the tied embedding.
func TestWeightSizes(t *testing.T) {
	c, err := model.PresetConfig(preset)
	if err != nil {
		t.Fatal(err)
	}
	const (
		all, embedding = 494_032_768, 136_134_656
		vectors        = 24*(896+896+896+128+128) + 896
		matrices       = all - vectors
		rows           = 151_936 + 24*(896+128+128+896+4864+4864+896)
	)
	inW4 := int64(matrices-embedding) / 2
	groups := int64(24 * ((896+128+128+896+4864+4864)*7 + 896*38))
	for format, want := range map[string]int64{
		"bf16": 2 * all,
		"w8":   matrices + 4*rows + 2*vectors,
		"w4":   inW4 + 2*groups + embedding + 4*151_936 + 2*vectors,
	} {
		if got := weightSizes(c, format); got.all != want || got.perToken != want {
			t.Errorf("%s: %+v, want %d for both: the head is tied", format, got, want)
		}
	}
	c.TieEmbeddings = false
	if got := weightSizes(c, "bf16"); got.all != 2*(all+embedding) || got.perToken != 2*all {
		t.Errorf("untied: %+v: the embedding counts, and isn't read", got)
	}
}
