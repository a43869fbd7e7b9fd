package deploytest

import (
	"maps"
	"testing"
)

func TestExpressions(t *testing.T) {
	s := scope{values: map[string]string{"inputs.a": "x", "inputs.no": "false", "steps.run.outputs.code": "3"}, known: map[string]bool{"steps.run.outputs.none": true}}
	for text, want := range map[string]string{
		"plain":                                                       "plain",
		"a ${{ inputs.a }}-${{inputs.a}}":                             "a x-x",
		"${{ inputs.a == 'X' }}":                                      "true",
		"${{ inputs.a != 'x' || inputs.a }}":                          "x",
		"${{ !inputs.no && steps.run.outputs.code }}":                 "3",
		"${{ (inputs.no || inputs.a) == 'x' && !(inputs.a == 'y') }}": "true",
		"${{ steps.run.outputs.none }}":                               "",
		"${{ !cancelled() }}":                                         "true",
	} {
		if got, err := s.expand(text); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{
		"${{ inputs.b }}", "${{ inputs.a", "${{ 'x }}", "${{ (inputs.a }}", "${{ hashFiles('x') }}", "${{ inputs.a < 3 }}", "${{ other() }}", "${{ inputs.a inputs.a }}", "${{ }}",
	} {
		if got, err := s.expand(text); err == nil {
			t.Errorf("%s: got %q, want an error", text, got)
		}
	}
	failed := s
	failed.failed = true
	for text, want := range map[string]bool{"": false, "${{ inputs.a }}": false, "always()": true, "${{ !cancelled() && inputs.a }}": true, "failure()": true} {
		if got, err := failed.condition(text); err != nil || got != want {
			t.Errorf("after a failure, if: %s: got %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestParseOutputs(t *testing.T) {
	got, err := parseOutputs("a=1\nb<<END\nx=y\n\nEND\nc=\n\n")
	if want := map[string]string{"a": "1", "b": "x=y\n", "c": ""}; err != nil || !maps.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for _, bad := range []string{"alone", "a<<END\nx"} {
		if got, err := parseOutputs(bad); err == nil {
			t.Errorf("%q: got %q, want an error", bad, got)
		}
	}
}

func FuzzExpressions(f *testing.F) {
	for _, text := range []string{"${{ a == 'b' }}", "${{ !a && (b || c()) }}", "x ${{ a }} y", "${{ '", "${{ é }}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := scope{values: map[string]string{"a": "1"}, known: map[string]bool{}}
		if _, err := s.expand(text); err == nil {
			_, _ = s.condition(text)
		}
	})
}

func FuzzParseOutputs(f *testing.F) {
	f.Add("a=1\nb<<END\nx\nEND\n")
	f.Fuzz(func(t *testing.T, text string) { _, _ = parseOutputs(text) })
}
