//go:build native

package engine

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/paceline/paceline/engine/model/quant"
	"github.com/paceline/paceline/engine/model/robotstories"
	"github.com/paceline/paceline/engine/quality"
)

// TestFormatsOfRobotStories fixes what each format costs the shipped model, computed by ref on
// the first 256 tokens of stories from the grammar that its training text came from.
//
// Tolerances: logits are float32 of about 10, so that another machine's rounding moves each by
// 1e-6, a divergence by twice as much, and two that lie closer than that may change places.
func TestFormatsOfRobotStories(t *testing.T) {
	src := filepath.Join(t.TempDir(), "robot-stories")
	if err := robotstories.Extract(src); err != nil {
		t.Fatal(err)
	}
	const positions = 256
	open := func(dir string) *Engine {
		return open(t, Options{ModelDir: dir, Backend: "ref", ContextHint: positions})
	}
	e := open(src)
	tok, err := e.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	stories, err := os.ReadFile(filepath.Join("testdata", "stories.txt"))
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tok.Encode(string(stories), false)
	if err != nil {
		t.Fatal(err)
	}
	reference, err := quality.Record(t.Context(), e.Logits, ids[:positions])
	if err != nil {
		t.Fatal(err)
	}
	better := 0.0 // the divergence of the row before, which must be the smaller one
	for _, c := range []struct {
		quant.Options
		want quality.Report
	}{
		{
			quant.Options{Format: "w8", Algorithm: quant.Search},
			quality.Report{KLMean: 4.713965e-05, KLP99: 0.001535626, KLMax: 0.003914220, TopOne: 1, DeltaLogLik: 0.0003568131},
		},
		{
			quant.Options{Format: "w8", Algorithm: quant.RTN},
			quality.Report{KLMean: 0.0001270565, KLP99: 0.002761945, KLMax: 0.01676219, TopOne: 1, DeltaLogLik: 0.0009939052},
		},
		{
			quant.Options{Format: "w4", Algorithm: quant.Search},
			quality.Report{KLMean: 0.005179182, KLP99: 0.1387726, KLMax: 0.4124723, TopOne: 0.97265625, DeltaLogLik: 0.0005752587},
		},
		{
			quant.Options{Format: "w4", Algorithm: quant.RTN},
			quality.Report{KLMean: 0.006916286, KLP99: 0.1330051, KLMax: 0.6342945, TopOne: 0.96875, DeltaLogLik: -0.02136273},
		},
	} {
		dst := filepath.Join(t.TempDir(), "quantised")
		if _, err := quant.Folder(t.Context(), src, dst, c.Options); err != nil {
			t.Fatal(err)
		}
		got, err := reference.Compare(t.Context(), open(dst).Logits)
		if err != nil {
			t.Fatal(err)
		}
		near := func(a, b float64) bool { return math.Abs(a-b) <= 5e-6 }
		if got.Positions != positions || !near(got.KLMean, c.want.KLMean) || !near(got.KLP99, c.want.KLP99) || !near(got.KLMax, c.want.KLMax) ||
			!near(got.DeltaLogLik, c.want.DeltaLogLik) || math.Abs(got.TopOne-c.want.TopOne)*positions > 1.5 || !near(got.ReferencePerplexity, 1.7252024) {
			t.Errorf("%s by %s: %+v, want %+v", c.Format, c.Algorithm, got, c.want)
		}
		if got.KLMean < better {
			t.Errorf("%s by %s lies nearer than the row before: %v, %v", c.Format, c.Algorithm, got.KLMean, better)
		}
		better = got.KLMean
	}
}
