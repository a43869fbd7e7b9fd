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

// TestFormatsOfRobotStories fixes what each format costs the shipped model, computed by ref: on
// stories of its own kind (from the
// grammar that its training text came from), and on the fixed text, of which it knows nothing.
//
// Tolerances: logits are float32 of about 10, so that another machine's rounding moves each by
// 1e-6, a divergence by twice as much, and two that lie closer than that may change places.
func TestFormatsOfRobotStories(t *testing.T) {
	src := filepath.Join(t.TempDir(), "robot-stories")
	if err := robotstories.Extract(src); err != nil {
		t.Fatal(err)
	}
	open := func(dir string) *Engine {
		return open(t, Options{ModelDir: dir, Backend: "ref", ContextHint: quality.MaxIDs})
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
	texts := []string{string(stories), quality.Text()}
	var references []*quality.Reference
	for _, text := range texts {
		ids, err := tok.Encode(text, false)
		if err != nil {
			t.Fatal(err)
		}
		r, err := quality.Record(t.Context(), e.Logits, ids[:min(len(ids), quality.MaxIDs)])
		if err != nil {
			t.Fatal(err)
		}
		references = append(references, r)
	}
	var last []quality.Report // of the format before, which must be the better one
	for _, c := range []struct {
		quant.Options
		want [2]quality.Report // of each text
	}{
		{quant.Options{Format: "w8", Algorithm: quant.Search}, [2]quality.Report{
			{Positions: 757, KLMean: 3.7502e-05, KLP99: 0.00073935, KLMax: 0.00391422, TopOne: 1, DeltaLogLik: 0.00041918},
			{Positions: 768, KLMean: 0.000411017, KLP99: 0.00466967, KLMax: 0.01534042, TopOne: 0.994792, DeltaLogLik: 0.01021793},
		}},
		{quant.Options{Format: "w8", Algorithm: quant.RTN}, [2]quality.Report{
			{Positions: 757, KLMean: 7.0399e-05, KLP99: 0.001288475, KLMax: 0.01676219, TopOne: 0.998679, DeltaLogLik: 0.000306583},
			{Positions: 768, KLMean: 0.000481895, KLP99: 0.006054069, KLMax: 0.0178838, TopOne: 0.99349, DeltaLogLik: 0.002873713},
		}},
		{quant.Options{Format: "w4", Algorithm: quant.Search}, [2]quality.Report{
			{Positions: 757, KLMean: 0.004779629, KLP99: 0.1000449, KLMax: 0.4288122, TopOne: 0.977543, DeltaLogLik: -0.00804993},
			{Positions: 768, KLMean: 0.06285349, KLP99: 0.4974059, KLMax: 1.102497, TopOne: 0.902344, DeltaLogLik: 0.164608},
		}},
		{quant.Options{Format: "w4", Algorithm: quant.RTN}, [2]quality.Report{
			{Positions: 757, KLMean: 0.006138012, KLP99: 0.1695762, KLMax: 0.6342945, TopOne: 0.969617, DeltaLogLik: -0.01254562},
			{Positions: 768, KLMean: 0.07265454, KLP99: 0.638408, KLMax: 1.221532, TopOne: 0.888021, DeltaLogLik: 0.09760847},
		}},
	} {
		dst := filepath.Join(t.TempDir(), "quantised")
		if _, err := quant.Folder(t.Context(), src, dst, c.Options); err != nil {
			t.Fatal(err)
		}
		q := open(dst)
		var reports []quality.Report
		for i, r := range references {
			got, err := r.Compare(t.Context(), q.Logits)
			if err != nil {
				t.Fatal(err)
			}
			reports = append(reports, got)
			want := c.want[i]
			near := func(a, b float64) bool { return math.Abs(a-b) <= 5e-6 }
			if got.Positions != want.Positions || !near(got.KLMean, want.KLMean) || !near(got.KLP99, want.KLP99) || !near(got.KLMax, want.KLMax) ||
				!near(got.DeltaLogLik, want.DeltaLogLik) || math.Abs(got.TopOne-want.TopOne)*float64(want.Positions) > 1.5 {
				t.Errorf("%s by %s on text %d: %#v, want %#v", c.Format, c.Algorithm, i, got, want)
			}
			if last != nil && (got.KLMean < last[i].KLMean || got.KLP99 < last[i].KLP99 || got.TopOne > last[i].TopOne) {
				t.Errorf("%s by %s on text %d is better than the format before: %+v, %+v", c.Format, c.Algorithm, i, got, last[i])
			}
		}
		last = reports
	}
}
