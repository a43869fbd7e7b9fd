// Package exclusive gives one measurement a GPU to itself: it chooses one that nobody uses, locks it against
// other measurements of this host, and tells the measurement's own processes from others'.
//
// What the GPUs are like is read by bench/probe/nvml; what a foreign process means for a trial is bench/harness's.
package exclusive

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/paceline/paceline/bench/probe/health"
)

// ErrTaken is wrapped by the error of taking a GPU that somebody uses.
var ErrTaken = errors.New("in use")

// Take chooses a GPU and locks it. want is an index or a UUID, as nvidia-smi prints them; "" is the first that nobody
// uses. Locks are files in folder, held by the kernel until release is called or the process ends. The error says of
// each GPU why not, and wraps ErrTaken where another one or another time would do.
func Take(gpus []health.GPU, want, folder string) (_ health.GPU, release func(), err error) {
	candidates, err := matching(gpus, want)
	if err != nil {
		return health.GPU{}, nil, err
	}
	var why []error
	for _, g := range candidates {
		if err := Unused(g); err != nil {
			why = append(why, err)
			continue
		}
		release, err := Lock(folder, g.UUID)
		if err == nil {
			return g, release, nil
		}
		why = append(why, fmt.Errorf("GPU %d (%s): %w", g.Index, g.Model, err))
	}
	return health.GPU{}, nil, fmt.Errorf("take a GPU to measure on: %w", errors.Join(why...))
}

// matching are the GPUs that a person's words name.
func matching(gpus []health.GPU, want string) ([]health.GPU, error) {
	if len(gpus) == 0 {
		return nil, errors.New("take a GPU to measure on: the driver shows none")
	}
	if want == "" {
		return gpus, nil
	}
	if strings.HasPrefix(want, "MIG-") {
		return nil, fmt.Errorf("take GPU %s to measure on: it is a part of a GPU, whose other parts share its memory bandwidth and power: measure on a whole one", want)
	}
	n, notNumber := strconv.Atoi(want)
	var names []string
	for _, g := range gpus {
		if notNumber == nil && g.Index == n || strings.EqualFold(g.UUID, want) {
			return []health.GPU{g}, nil
		}
		names = append(names, fmt.Sprintf("%d (%s, %s)", g.Index, g.Model, g.UUID))
	}
	return nil, fmt.Errorf("take GPU %q to measure on: this machine has %s", want, strings.Join(names, ", "))
}

// Unused says why a GPU can't be measured on now, as far as can be seen from here: processes of other containers don't
// show, what they do does.
func Unused(g health.GPU) error {
	switch {
	case g.MIG:
		return fmt.Errorf("GPU %d (%s) is divided by MIG: its parts share memory bandwidth and power; take another one, or turn MIG off (nvidia-smi -i %[1]d -mig 0)", g.Index, g.Model)
	case len(g.Processes) > 0:
		return fmt.Errorf("GPU %d (%s) is %w by the processes %s: stop them (nvidia-smi shows what they are), or measure on another GPU", g.Index, g.Model, ErrTaken, list(g.Processes))
	case g.Utilisation != nil && *g.Utilisation > health.IdleUse:
		return fmt.Errorf("GPU %d (%s) is %w: busy for %.0f %% of the time by processes that don't show here; look on its host, or measure on another GPU", g.Index, g.Model, ErrTaken, 100**g.Utilisation)
	}
	return nil
}

// Lock locks a GPU for measuring, by a file in folder that all programs of this host share.
func Lock(folder, uuid string) (release func(), err error) {
	path := filepath.Join(folder, "paceline-gpu-"+uuid+".lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if errors.Is(err, os.ErrPermission) { // another user's file; reading it is enough to lock it
		f, err = os.Open(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the GPU's lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder := make([]byte, 20)
		n, _ := f.ReadAt(holder, 0)
		_ = f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock the GPU: %w", err)
		}
		return nil, fmt.Errorf("%w by another measurement (process %s): wait for it, or measure on another GPU", ErrTaken, strings.TrimSpace(string(holder[:n])))
	}
	if f.Truncate(0) == nil { // who holds it, for people; without it the lock holds as well
		_, _ = fmt.Fprintln(f, os.Getpid())
	}
	return func() { _ = f.Close() }, nil
}

// Own are the processes of a measurement on its GPU.
type Own struct{ pids []int }

// OwnOf tells which of the processes that a GPU shows once the subject is open are the subject's. self is this process.
// Where the process list names it, the others are foreign. Where it doesn't, it speaks of another process
// namespace, and what came up since the GPU was unused is taken for the subject.
func OwnOf(shown []int, self int) Own {
	if slices.Contains(shown, self) {
		return Own{[]int{self}}
	}
	return Own{slices.Clone(shown)}
}

// Foreign are the processes shown that aren't the measurement's.
func (o Own) Foreign(shown []int) []int {
	return slices.DeleteFunc(slices.Clone(shown), func(p int) bool { return slices.Contains(o.pids, p) })
}

func list(pids []int) string {
	var out []string
	for _, p := range pids {
		out = append(out, strconv.Itoa(p))
	}
	return strings.Join(out, ", ")
}
