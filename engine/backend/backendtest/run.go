package backendtest

import (
	"fmt"
	"testing"

	"github.com/paceline/paceline/engine/backend"
)

// What a backend opened for the suite needs at least.
const (
	MinPages   = 20
	MinContext = 256 // positions
	MinRows    = 6
	MinTokens  = 64 // of a batch
	MinVocab   = 32
)

// check is one property. It gets a fresh backend and says what is broken.
type check struct {
	name string
	run  func(b backend.Backend) error
}

// checks lists the suite, in the order in which a new backend meets it.
func checks() []check {
	return []check{
		{"says what it is", describesItself},
		{"repeats itself to the last bit", repeats},
		{"gives what was asked for and nothing else", givesWhatIsAsked},
		{"draws tokens as engine/sample does", drawsAsDefined},
		{"edits logits as engine/sample does", editsAsDefined},
		{"says what was likely", likeliest},
		{"draws after drafts as after any token", drafting},
		{"doesn't depend on the cutting of a prompt", chunking},
		{"decodes what prefill would compute", decoding},
		{"doesn't depend on the batch", batching},
		{"doesn't depend on the order of rows", rowOrder},
		{"doesn't depend on which pages", placement},
		{"doesn't depend on what pages held before", dirtyPages},
		{"reads pages that rows share", sharing},
		{"copies pages", copying},
		{"scores each token", scoring},
		{"takes full batches", fullBatches},
		{"leaves the batch's inputs alone", inputsKept},
		{"refuses what it can't compute and goes on", refusing},
		{"keeps its promise of batches in flight", inFlight},
	}
}

// Run holds a backend against the suite. open gives a fresh one with at least the Min…
// sizes above; it is called once a check, and the suite closes what it opened.
func Run(t *testing.T, open func(t *testing.T) backend.Backend) {
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			b := open(t)
			err := bigEnough(b)
			if err == nil {
				err = c.run(b)
			}
			if err != nil {
				t.Error(err)
			}
			if err := b.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

func bigEnough(b backend.Backend) error {
	i := b.Info()
	for _, c := range []struct {
		what      string
		got, want int
	}{
		{"pages", b.Pages().Count(), MinPages},
		{"positions of context", i.MaxContext, MinContext},
		{"rows of a batch", i.MaxRows, MinRows},
		{"tokens of a batch", i.MaxTokens, MinTokens},
		{"ids of vocabulary", i.VocabSize, MinVocab},
	} {
		if c.got < c.want {
			return fmt.Errorf("the backend to test has %d %s, the suite needs %d", c.got, c.what, c.want)
		}
	}
	return nil
}

func describesItself(b backend.Backend) error {
	i, p, m := b.Info(), b.Pages(), b.Memory()
	switch {
	case i.Name == "" || i.Compute == "" || i.Weights == "":
		return fmt.Errorf("a name is missing: %+v", i)
	case i.MaxInFlight < 1 || i.Threads < 0:
		return fmt.Errorf("MaxInFlight %d, Threads %d", i.MaxInFlight, i.Threads)
	case p.BytesPerPage() <= 0:
		return fmt.Errorf("%d bytes a page", p.BytesPerPage())
	case m.KV < int64(p.Count())*p.BytesPerPage():
		return fmt.Errorf("memory says %d bytes of KV, %d pages of %d bytes take more", m.KV, p.Count(), p.BytesPerPage())
	case m.Weights <= 0 || m.Activation < 0 || m.Total() != m.Weights+m.KV+m.Activation:
		return fmt.Errorf("memory %+v", m)
	case b.Info() != i:
		return fmt.Errorf("what Info says changed")
	}
	return nil
}
