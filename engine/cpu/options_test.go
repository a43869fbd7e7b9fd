package cpu

import (
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/model"
)

func TestOptions(t *testing.T) {
	c := model.Config{MaxPositions: 1000}
	for name, tt := range map[string]struct {
		in, want  Options
		quantised bool
		err       string
	}{
		"defaults":        {in: Options{}, want: Options{Pages: 64, MaxContext: 1000, Threads: 4, Compute: "f32", KV: "f32"}},
		"short context":   {in: Options{MaxContext: 1}, want: Options{Pages: 64, MaxContext: 1, Threads: 4, Compute: "f32", KV: "f32"}},
		"all given":       {in: Options{Pages: 3, MaxContext: 65, Threads: 2, Compute: "bf16", ISA: "x"}, want: Options{Pages: 3, MaxContext: 65, Threads: 2, Compute: "bf16", ISA: "x", KV: "bf16"}},
		"quantised":       {in: Options{Pages: 1, MaxContext: 1}, quantised: true, want: Options{Pages: 1, MaxContext: 1, Threads: 4, Compute: "int8", KV: "bf16"}},
		"KV":              {in: Options{Pages: 1, MaxContext: 1, KV: "int8"}, want: Options{Pages: 1, MaxContext: 1, Threads: 4, Compute: "f32", KV: "int8"}},
		"no KV":           {in: Options{KV: "f16"}, err: "f32, bf16 or int8"},
		"exact quantised": {in: Options{Compute: "f32"}, quantised: true, err: "in int8"},
		"int8 floats":     {in: Options{Compute: "int8"}, err: "only quantised"},
		"compute":         {in: Options{Compute: "f64"}, err: "f32 or bf16"},
		"long context":    {in: Options{MaxContext: 1001}, err: "the model's limit"},
		"negative pages":  {in: Options{Pages: -1}, err: "KV pages"},
		"too many pages":  {in: Options{Pages: 1<<24 + 1}, err: "KV pages"},
		"negative thread": {in: Options{Threads: -1}, err: "cores"},
		"many threads":    {in: Options{Threads: 5}, err: "cores"},
	} {
		got, err := tt.in.complete(c, tt.quantised, 4)
		switch {
		case tt.err != "":
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: error %v, want %q in it", name, err, tt.err)
			}
		case err != nil || got != tt.want:
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, tt.want)
		}
	}
	long, err := Options{}.complete(model.Config{MaxPositions: 32768}, false, 1)
	if err != nil || long.Pages != 512 {
		t.Errorf("a context of 32768: %+v, %v, want 512 pages", long, err)
	}
}
