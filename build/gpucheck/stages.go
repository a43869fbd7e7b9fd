//go:build native

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/image"
	"github.com/paceline/paceline/engine/cuda/kernels"
	"github.com/paceline/paceline/engine/model"
)

// check is a run of all stages.
type check struct {
	r      *report
	d      *driver.Driver
	info   driver.DeviceInfo
	device string
	smoke  bool
}

// codeResult is how the kernels of a format came to the device.
type codeResult struct {
	Weights string        `json:"weights"`
	From    string        `json:"from"`
	Found   time.Duration `json:"found_ns"`
	Loaded  time.Duration `json:"loaded_ns"` // the driver's own compilation included
}

// config is the model that is measured: all sizes of Qwen2.5-0.5B, or a small one.
func (c *check) config() (model.Config, error) {
	if c.smoke {
		return model.PresetConfig("tiny")
	}
	return model.PresetConfig("qwen2.5-0.5b")
}

// context opens the device for the calling goroutine, which keeps its thread until end, which closes it.
func (c *check) context() (ctx *driver.Context, end func(*error), err error) {
	runtime.LockOSThread()
	if ctx, err = c.d.Context(c.info.Index); err != nil {
		runtime.UnlockOSThread()
		return nil, nil, err
	}
	return ctx, func(err *error) {
		*err = errors.Join(*err, ctx.Close())
		runtime.UnlockOSThread()
	}, nil
}

// code loads the kernels of each format.
func (c *check) code() (err error) {
	if c.r.Emulated {
		return nil // the tests built what they need
	}
	cfg, err := c.config()
	if err != nil {
		return err
	}
	store, err := image.DefaultStore()
	if err != nil {
		return err
	}
	ctx, end, err := c.context()
	if err != nil {
		return err
	}
	defer end(&err)
	for _, f := range []kernels.Format{kernels.BF16, kernels.W8, kernels.W4} {
		s, err := kernels.ShapeOf(cfg, f)
		if err != nil {
			return err
		}
		found, err := image.Loader{Store: store}.Load(s, c.info)
		if err != nil {
			return err
		}
		started := time.Now()
		m, err := ctx.Load(found.Code)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", f, found.From, err)
		}
		x := codeResult{f.String(), found.From, found.Took, time.Since(started)}
		c.r.Code = append(c.r.Code, x)
		fmt.Printf("%s: %s in %v, loaded in %v\n", f, x.From, x.Found.Round(time.Millisecond), x.Loaded.Round(time.Millisecond))
		if err := m.Unload(); err != nil {
			return err
		}
	}
	return nil
}

// testResult is a test binary's.
type testResult struct {
	Name                  string        `json:"name"`
	Passed, Failed, Skips int           // tests and their parts
	Took                  time.Duration `json:"took_ns"`
	Failures              string        `json:"failures,omitempty"` // the end of what it printed
}

// tests runs the binaries beside this program, and the second one once more under NVIDIA's own checker where that is.
func (c *check) tests() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	library := os.Getenv("CUDA_LIB")
	if library == "" {
		library = "libcuda.so.1"
	}
	var errs []error
	runs := [][]string{{"driver.test"}, {"cuda.test"}}
	if path, err := exec.LookPath("compute-sanitizer"); err == nil && !c.smoke {
		runs = append(runs, []string{path, "cuda.test", "-test.run", "TestFormats/narrow"})
	}
	for _, args := range runs {
		at := 0
		if len(args) > 1 {
			at = 1
		}
		name := args[at]
		args[at] = filepath.Join(filepath.Dir(self), name)
		if _, err := os.Stat(args[at]); err != nil {
			fmt.Println(name, "isn't here")
			continue
		}
		started := time.Now()
		cmd := exec.Command(args[0], append(args[1:], "-test.v")...)
		cmd.Env = append(os.Environ(), "CUDA_LIB="+library)
		cmd.Dir = filepath.Dir(self)
		out, err := cmd.CombinedOutput()
		t := countTests(string(out))
		t.Name, t.Took = strings.Join(append([]string{filepath.Base(args[0])}, args[1:]...), " "), time.Since(started)
		if err != nil {
			t.Failures = tail(string(out), 4000)
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		c.r.Tests = append(c.r.Tests, t)
		fmt.Printf("%s: %d passed, %d failed, %d skipped in %v\n", t.Name, t.Passed, t.Failed, t.Skips, t.Took.Round(time.Second))
	}
	return errors.Join(errs...)
}

// countTests counts the lines of -test.v.
func countTests(out string) testResult {
	n := func(what string) int {
		return len(regexp.MustCompile(`(?m)^\s*--- `+what+`: `).FindAllString(out, -1))
	}
	return testResult{Passed: n("PASS"), Failed: n("FAIL"), Skips: n("SKIP")}
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// copies measures how fast the device copies its own memory: what is read and what is written, together.
func (c *check) copies() (err error) {
	ctx, end, err := c.context()
	if err != nil {
		return err
	}
	defer end(&err)
	size, turns := int64(1<<30), 20
	if c.smoke {
		size, turns = 1<<20, 1
	}
	from, err := ctx.Alloc("copied from", size)
	if err != nil {
		return err
	}
	to, err := ctx.Alloc("copied to", size)
	if err != nil {
		return errors.Join(err, ctx.Free(from))
	}
	defer func() { err = errors.Join(err, ctx.Free(from), ctx.Free(to)) }()
	s, err := ctx.NewStream()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Destroy()) }()
	best := time.Duration(0)
	for range 3 {
		took, err := timed(ctx, s, func() error {
			var errs []error
			for range turns {
				errs = append(errs, ctx.DtoDAsync(to, from, size, s))
			}
			return errors.Join(errs...)
		})
		if err != nil {
			return err
		}
		if best == 0 || took < best {
			best = took
		}
	}
	if c.r.Emulated {
		return nil
	}
	c.r.Copy = 2 * float64(size) * float64(turns) / best.Seconds() / 1e9
	fmt.Printf("%.0f GB/s read and written\n", c.r.Copy)
	return nil
}
