//go:build native

// Command gpucheck does on a machine with an NVIDIA GPU what can't be done without one: it loads the kernels, runs the
// tests of the CUDA packages on the real driver, and measures. It needs the driver only: no Go, no toolkit, no network.
//
//	gpucheck                 everything; some minutes
//	gpucheck -smoke          a small model and no figures, for the emulator of tests
//
// Test binaries that lie beside it (driver.test, cuda.test) are run, and what is installed of vLLM and transformers is
// measured (peers.py); weights are made up. It writes one result file and a table in Markdown.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/paceline/paceline/engine/cuda/driver"
)

// report is the result file.
type report struct {
	Started  time.Time         `json:"started"`
	Device   driver.DeviceInfo `json:"device"`
	Driver   int               `json:"driver"` // CUDA version that the driver speaks: 13000 is 13.0
	Emulated bool              `json:"emulated"`
	Code     []codeResult      `json:"code"`
	Tests    []testResult      `json:"tests"`
	Copy     float64           `json:"copy_gb_per_s,omitempty"` // read and written, by copies within the device
	Launch   *launchTimes      `json:"launches,omitempty"`
	Figures  []figure          `json:"figures,omitempty"`
	Peers    []peer            `json:"peers,omitempty"`
	Problems []string          `json:"problems,omitempty"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gpucheck:", err)
		os.Exit(1)
	}
}

func run() error {
	smoke := flag.Bool("smoke", false, "a small model and no figures: for the emulator of tests")
	device := flag.String("device", "", "index, UUID or bus id (default: the first)")
	out := flag.String("out", ".", "folder for gpucheck.json and gpucheck.md")
	noTests := flag.Bool("no-tests", false, "don't run the test binaries that lie beside this program")
	archs := flag.String("compile", "", "only compile what times launches, for these architectures, to -out; on a machine with NVIDIA's compiler")
	flag.Parse()
	if *archs != "" {
		return compileProbe(strings.Split(*archs, ","), *out)
	}
	d, err := driver.Open("")
	if err != nil {
		return err
	}
	info, err := d.Find(*device)
	if err != nil {
		return err
	}
	if d.Emulated() && !*smoke {
		return errors.New("this is an emulator, which has no speed: take a real device, or -smoke")
	}
	r := &report{Started: time.Now().UTC(), Device: info, Driver: d.Version(), Emulated: d.Emulated()}
	fmt.Printf("%s (%s), compute capability %d.%d, CUDA %d.%d\n", info.Name, info.UUID, info.Major, info.Minor, r.Driver/1000, r.Driver%1000/10)
	c := check{r: r, d: d, info: info, device: *device, smoke: *smoke}
	for _, stage := range []struct {
		name string
		do   func() error
	}{{"kernels", c.code}, {"tests", c.tests}, {"copies", c.copies}, {"launches", c.launches}, {"decoding and prompts", c.figures}} {
		if stage.name == "tests" && *noTests {
			continue
		}
		fmt.Printf("== %s\n", stage.name)
		if err := stage.do(); err != nil {
			r.Problems = append(r.Problems, stage.name+": "+err.Error())
			fmt.Println("problem:", err)
			if errors.Is(err, driver.ErrLost) {
				break
			}
		}
	}
	return r.write(*out)
}

// write leaves the result file and the table, and says whether all is well.
func (r *report) write(folder string) error {
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "gpucheck.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "gpucheck.md"), []byte(r.markdown()), 0o644); err != nil {
		return err
	}
	fmt.Println("wrote", filepath.Join(folder, "gpucheck.json"), "and gpucheck.md")
	if n := len(r.Problems); n > 0 {
		return fmt.Errorf("%d problems, see above", n)
	}
	return nil
}
