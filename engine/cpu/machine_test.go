//go:build native

package cpu

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/backend"
)

func TestNumbers(t *testing.T) {
	for list, want := range map[string][]int32{
		"0": {0}, "0-3": {0, 1, 2, 3}, "0-1,4,6-7": {0, 1, 4, 6, 7},
		"": nil, "a": nil, "3-1": nil, "0,-1": nil, "0-99999999": nil,
	} {
		if got := numbers(list); !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", list, got, want)
		}
	}
}

// TestWorkersStay: each worker may run on its own processor only, and on any where that was
// asked for.
func TestWorkersStay(t *testing.T) {
	if runtime.GOOS != "linux" || Cores() < 2 {
		t.Skip("skipped: it takes Linux and two cores to tell")
	}
	m := checkpoint(t, shapes()["even"])
	bound := func() (n int) {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			status, err := os.ReadFile("/proc/self/task/" + task.Name() + "/status")
			if err != nil {
				continue // it has ended
			}
			_, list, _ := strings.Cut(string(status), "\nCpus_allowed_list:")
			list, _, _ = strings.Cut(list, "\n")
			if len(numbers(strings.TrimSpace(list))) == 1 {
				n++
			}
		}
		return n
	}
	before := bound()
	step(t, opened(t, m, Options{Threads: 2}), backend.Row{Tokens: prompt(20, m.Config.VocabSize), Pages: pageList(20, 0, 1)})
	if got := bound() - before; got != 1 {
		t.Errorf("%d threads stay on one processor, want the one worker", got)
	}
	t.Setenv(envPin, "0")
	step(t, opened(t, m, Options{Threads: 2}), backend.Row{Tokens: prompt(20, m.Config.VocabSize), Pages: pageList(20, 0, 1)})
	if got := bound() - before; got != 1 {
		t.Errorf("%d threads stay on one processor with %s=0, want still one", got, envPin)
	}
}
