package harness

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/paceline/paceline/bench/load"
	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/suites/spec"
)

// Order is one round to run.
type Order struct {
	Run      string
	Attempt  string
	Index    int // 1… within the run
	Cells    []spec.Cell
	Subject  result.Subject
	ModelDir string
	Faults   []string
	// Spawned is the wall clock at which the subject's process was started. Zero:
	// load_time and ttft_process_cold are not measured.
	Spawned time.Time
}

// Opened is a started subject.
type Opened struct {
	Target target.Target
	// Tokenizer is the model's own; nil where there is none. Without it nothing is
	// re-tokenised, and data of type "synthetic" has its length in words.
	Tokenizer target.Tokenizer
	// Spawned is the wall clock at which the subject's own process was started, where
	// that isn't this one; it takes the place of Order.Spawned.
	Spawned time.Time
}

// Deps is what a round needs of the world. Only Open is required.
type Deps struct {
	// Open starts the subject and returns when it is ready. RunRound closes it. It is
	// called again for each variant of the subject, with that as Order.Subject.Target and
	// the variant's cells only, once what was open before is closed.
	Open func(ctx context.Context, o Order) (Opened, error)
	// Null gives a target that answers at once, for the noise floor; nil: results are
	// not held against one.
	Null func() target.Target
	// Samplers are read ten times a second; RunRound doesn't close them.
	Samplers []probe.Sampler
	// Environment is the machine's fingerprint, taken before the round. GPU readings
	// are held against a trial only where its hardware class names GPUs, because the
	// subject then uses them.
	Environment result.Environment
	// Foreign tells which processes that compute on the subject's GPUs aren't the
	// subject's; a trial beside one is invalid. nil: nobody knows.
	Foreign func(pids []int) []int
	// Probe is the machine probe, run after the subject's first request ("before")
	// and after its last ("after"); nil: none. Where the subject computes in this
	// process, another one must do the probing: its buffers would count as the
	// subject's memory.
	Probe func(ctx context.Context, when string) []result.Probe
	// Dataset gives the prompts of a named data set.
	Dataset func(name, digest string) ([]string, error)
	// Clock is load.System if nil.
	Clock load.Clock
	Emit  Emit
}

// Emit is where a round tells what happens. Any may be nil. They are never called
// at the same time as one another, never on the path that is measured, and hold up
// the round's next step for as long as they take.
type Emit struct {
	Progress func(Progress)
	Trial    func(cell spec.Cell, t result.Trial)
	Samples  func([]result.Sample) // at most SampleBatch at a time; warm-up has trial 0
}

// SampleBatch is the most samples that Emit.Samples is given at once.
const SampleBatch = 64

// Progress is where a round stands.
type Progress struct {
	Workload string
	Cell     string // digest
	Point    map[string]string
	Phase    string        // "starting", "first request", "probe", "warm-up", "trial 1 of 2", "done"
	Done     float64       // share of the round, 0..1, by time
	Rate     float64       // tok/s at this moment; 0 unknown
	Left     time.Duration // of the round, estimated; 0 unknown
	At       time.Time
}

func (o Order) check() error {
	if len(o.Cells) == 0 {
		return fmt.Errorf("run round %d: it has no cell", o.Index)
	}
	seen := map[string]bool{}
	for _, c := range o.Cells {
		switch {
		case !slices.Contains([]string{"closed", "sequential", "burst", "constant", "poisson", "gamma"}, c.Load.Type):
			return fmt.Errorf("run round %d: workload %q has a load of type %q, which this version doesn't know", o.Index, c.Workload, c.Load.Type)
		case c.Load.Open() && c.Load.Rate <= 0 && c.Load.RateOfMax <= 0:
			return fmt.Errorf("run round %d: workload %q has a rate of %v requests a second: it must be more than 0", o.Index, c.Workload, c.Load.Rate)
		case c.Request.MaxTokens < 1:
			return fmt.Errorf("run round %d: workload %q asks for %d tokens: it must be at least 1", o.Index, c.Workload, c.Request.MaxTokens)
		case c.Trials.Count < 1:
			return fmt.Errorf("run round %d: workload %q has %d trials: it must be at least 1", o.Index, c.Workload, c.Trials.Count)
		case seen[c.Digest+c.Workload]:
			return fmt.Errorf("run round %d: workload %q has a cell twice", o.Index, c.Workload)
		}
		seen[c.Digest+c.Workload] = true
	}
	return nil
}
