package backendtest

import (
	"testing"

	"github.com/paceline/paceline/engine/backend"
)

func TestASoundBackendPasses(t *testing.T) {
	for _, inFlight := range []int{1, 2} {
		Run(t, func(*testing.T) backend.Backend { return newFake(inFlight, "") })
	}
}

// TestEachDefectIsFound plants one defect at a time: the suite must object, and the check that
// is made for the defect must be among those that do.
func TestEachDefectIsFound(t *testing.T) {
	for _, c := range []struct{ defect, check string }{
		{"no name", "says what it is"},
		{"less memory than pages", "says what it is"},
		{"a counter in the logits", "repeats itself to the last bit"},
		{"history ignored", "repeats itself to the last bit"},
		{"logits always", "gives what was asked for and nothing else"},
		{"token zero instead of none", "gives what was asked for and nothing else"},
		{"position ignored in sampling", "draws tokens as engine/sample does"},
		{"edits ignored", "edits logits as engine/sample does"},
		{"edits left in the logits", "edits logits as engine/sample does"},
		{"the token's log-probability is the likeliest's", "says what was likely"},
		{"drafts are all drawn at one position", "draws after drafts as after any token"},
		{"drafts are drawn from the last logits", "draws after drafts as after any token"},
		{"wrong drafts stay", "draws after drafts as after any token"},
		{"too many drafts", "draws after drafts as after any token"},
		{"chunk length in the logits", "doesn't depend on the cutting of a prompt"},
		{"single tokens rounded otherwise", "decodes what prefill would compute"},
		{"row count in the logits", "doesn't depend on the batch"},
		{"row index in the logits", "doesn't depend on the order of rows"},
		{"page ids in the logits", "doesn't depend on which pages"},
		{"pages added up", "doesn't depend on what pages held before"},
		{"shared pages written", "reads pages that rows share"},
		{"copies whole pages to the wrong place", "copies pages"},
		{"copies one position too few", "copies pages"},
		{"log-probabilities one off", "scores each token"},
		{"one row too few in full batches", "takes full batches"},
		{"inputs written", "leaves the batch's inputs alone"},
		{"accepts anything", "refuses what it can't compute and goes on"},
		{"mistakes are faults", "refuses what it can't compute and goes on"},
		{"a second batch in flight", "keeps its promise of batches in flight"},
	} {
		t.Run(c.defect, func(t *testing.T) {
			found := map[string]error{}
			for _, ch := range checks() {
				if err := guard(ch, newFake(1, c.defect)); err != nil {
					found[ch.name] = err
				}
			}
			if found[c.check] == nil {
				t.Errorf("the check %q didn't object; these did: %v", c.check, found)
			}
		})
	}
	t.Run("chained to the wrong row", func(t *testing.T) {
		if err := guard(check{run: inFlight}, newFake(2, "chained to the wrong row")); err == nil {
			t.Error("not found")
		}
	})
}

func TestSmallBackendsAreNamed(t *testing.T) {
	b := newFake(1, "")
	b.info.MaxRows = MinRows - 1
	if err := bigEnough(b); err == nil {
		t.Error("a backend too small for the suite: no error")
	}
}
