package level

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/judge/compare"
	"github.com/paceline/paceline/judge/gate"
	"github.com/paceline/paceline/suites/spec"
)

// Export takes a level out of the ledger: the runs whose rounds are the last ten of
// any series, with all of their rounds.
func (s *Store) Export(ctx context.Context, which baseline.Which) (*baseline.File, error) {
	w, err := s.choose(ctx, which, "level", hasLevel)
	if err != nil {
		return nil, err
	}
	ids, err := s.levelRuns(ctx, w)
	if err != nil {
		return nil, err
	}
	f := &baseline.File{
		Schema: baseline.FileSchema, Kind: baseline.FileKind, Project: w.Project, Branch: w.Branch, Suite: w.Suite,
		Exported: s.now().UTC(), Program: s.program, Runs: []baseline.FileRun{},
	}
	for _, id := range ids {
		r, err := s.ledger.Runs().Get(ctx, id)
		if err != nil {
			return nil, err
		}
		rounds, err := s.ledger.Rounds().OfRun(ctx, id)
		if err != nil {
			return nil, err
		}
		doc := result.Document{Schema: result.SchemaVersion, Run: r.Run}
		for _, x := range rounds {
			doc.Rounds = append(doc.Rounds, x.Round)
		}
		f.Runs = append(f.Runs, baseline.FileRun{Document: doc, State: baseline.Joined, Verdict: gate.Kind(r.Verdict)})
	}
	slices.SortStableFunc(f.Runs, func(a, b baseline.FileRun) int {
		return a.Document.Run.Created.Compare(b.Document.Run.Created)
	})
	return f, nil
}

// Import takes a file's runs into the ledger, as decided runs of their branch whose
// rounds have joined. Runs that are there already stay as they are. ErrRequest: what
// the file says of a run contradicts what is stored, and nothing was written.
func (s *Store) Import(ctx context.Context, f *baseline.File, by, from string) (baseline.Imported, error) {
	out := baseline.Imported{Branch: f.Branch, Suite: f.Suite}
	in := ledger.Import{By: by, From: from}
	for i := range f.Runs {
		x := &f.Runs[i]
		report, err := reportOf(ctx, f, x)
		if err != nil {
			return out, err
		}
		run := ledger.ImportedRun{Run: x.Document.Run, Rounds: x.Document.Rounds, Verdict: string(x.Verdict), Report: report}
		if x.Verdict == gate.Fail {
			run.Exit = gate.ExitFail
		}
		in.Runs = append(in.Runs, run)
	}
	got, err := s.ledger.Baselines().Import(ctx, in)
	if errors.Is(err, ledger.ErrExists) || errors.Is(err, ledger.ErrInvalid) {
		return out, bad("the file can't be what was measured: %w: nothing was imported", err)
	}
	out.Runs, out.Rounds, out.Known = got.Runs, got.Rounds, got.Known
	return out, err
}

// reportOf is what is shown of a run that was judged elsewhere: its values, and that
// its checks aren't here.
func reportOf(ctx context.Context, f *baseline.File, x *baseline.FileRun) ([]byte, error) {
	in := compare.Input{Run: x.Document.Run, Rounds: x.Document.Rounds, Base: f.Branch, Levels: nothing{}}
	// A suite that this program can't read leaves the run without lines, not without
	// rounds.
	if suite, err := spec.Parse(x.Document.Run.Suite+".yml", []byte(x.Document.Run.SuiteText)); err == nil {
		if cells, err := compare.Cells(suite, x.Document.Run.Subject.Target); err == nil {
			for _, c := range cells {
				c.Rules = nil
				in.Cells = append(in.Cells, c)
			}
		}
	}
	cmp, err := compare.Compare(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("show run %s: %w", x.Document.Run.ID, err)
	}
	v := gate.Run{Kind: x.Verdict, Headline: fmt.Sprintf("imported with the baseline file of %s: decided %s where it was measured", f.Branch, x.Verdict)}
	if x.Verdict == gate.Fail {
		v.Exit = gate.ExitFail
	}
	rep := cmp.Report(v)
	rep.Decided = x.Document.Rounds[len(x.Document.Rounds)-1].Ended
	b, err := json.Marshal(rep)
	if err != nil {
		return nil, fmt.Errorf("encode the report of run %s: %w", x.Document.Run.ID, err)
	}
	return b, nil
}

// nothing has no levels.
type nothing struct{}

func (nothing) Level(context.Context, result.Key) (gate.Baseline, error) { return gate.Baseline{}, nil }

func (nothing) Pinned(context.Context, result.Key) (gate.Baseline, bool, error) {
	return gate.Baseline{}, false, nil
}
