package result

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write generated and golden files")

func example() *Document {
	at := time.Date(2026, 11, 24, 3, 8, 0, 0, time.UTC)
	return &Document{
		Schema: SchemaVersion,
		Run: Run{
			ID: "r1", Suite: "ci", SuiteText: "apiVersion: paceline/v1\n", SuiteHash: strings.Repeat("0", 64), Branch: "local",
			Lane: LaneLocal, Subject: Subject{Target: "engine", Build: "self", Model: "robot-stories"}, Created: at,
			Repeat: "paceline run ci",
		},
		Rounds: []Round{{
			ID: "d1", RunID: "r1", AttemptID: "a1", Index: 1, Started: at, Ended: at.Add(time.Minute), Valid: true,
			Environment: Environment{Host: "gpu-07", MachineID: "m1", Hardware: Hardware{CPUModel: "EPYC", Cores: 2, ISA: "avx512"}},
			Subject:     Identity{Build: "v1", Engine: "paceline/cpu", ModelDigest: "md", TokenizerDigest: "td", DType: "bf16/f32"},
			Probes:      []Probe{{Kind: "cpu.read", Unit: "GB/s", Value: 31.5, When: "before", At: at}},
			Cells: []CellResult{{
				Cell: "c1", Workload: "throughput", Valid: true,
				Trials: []Trial{{Index: 1, Started: at, WindowNanos: 3e9, Requests: 4, Valid: true, Values: []Value{{Metric: "output_rate", Value: 41.3, N: 4}}}},
				Values: []Value{{Metric: "output_rate", Value: 41.3, N: 1}},
			}},
		}},
	}
}

// TestGoldenFile reads what version 1 wrote once and for ever.
func TestGoldenFile(t *testing.T) {
	golden := filepath.Join("testdata", "v1.json")
	count := 2
	samples := []Sample{{Round: 1, Cell: "c1", Trial: 1, Scheduled: 1, Admitted: 2, Events: []int64{5, 9}, End: 10, WantTokens: 2, Tokens: Counts{Engine: &count}}}
	if *update {
		if err := Write(golden, example(), samples); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(example(), got); d != "" {
		t.Error(d)
	}
	f, err := os.Open(SamplesPath(golden))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var read []Sample
	if err := ReadSamples(f, func(s *Sample) error { read = append(read, *s); return nil }); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(samples, read); d != "" {
		t.Error(d)
	}
}

func TestGeneratedSchemaIsCurrent(t *testing.T) {
	want, err := generateSchema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("result.schema.json", want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("result.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("result.schema.json is stale: go test ./bench/result -update")
	}
}

func TestReadRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	if err := Write(path, example(), nil); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, says string }{
		"unknown field":   {`"lane"`, `"lanes"`, "lanes"},
		"other version":   {`"schema": 1`, `"schema": 7`, "version 7"},
		"no version":      {`"schema": 1,`, ``, "no schema version"},
		"unknown metric":  {`"metric": "output_rate"`, `"metric": "ouput_rate"`, "ouput_rate"},
		"foreign round":   {`"run_id": "r1"`, `"run_id": "r2"`, "belongs to run"},
		"unknown lane":    {`"lane": "local"`, `"lane": "fast"`, "none of"},
		"cut in the half": {string(whole[len(whole)/2:]), "", "not a result file"},
	} {
		if _, err := Decode(strings.NewReader(strings.Replace(string(whole), c.old, c.new, 1))); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	_, err = Decode(strings.NewReader(`{"schema": 2}`))
	if !errors.Is(err, ErrVersion) {
		t.Errorf("version 2: %v", err)
	}
}

// TestWriteKeepsWhatWasThere fails before the rename: the old file stays, no new one is left.
func TestWriteKeepsWhatWasThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := example()
	broken.Rounds[0].Cells[0].Values[0].Metric = "nonsense"
	if err := Write(path, broken, nil); err == nil {
		t.Fatal("a document that contradicts the table was written")
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "before" {
		t.Errorf("%q, %v: what was there is gone", b, err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

// TestKeyHoldsAllThatMatters changes every field of a key, one at a time.
func TestKeyHoldsAllThatMatters(t *testing.T) {
	doc := example()
	key := KeyOf(&doc.Rounds[0], doc.Run.Subject, &doc.Rounds[0].Cells[0], "output_rate")
	if key.Definition != 1 {
		t.Errorf("definition version %d", key.Definition)
	}
	before := key.Digest()
	if len(before) != 32 {
		t.Errorf("digest %q", before)
	}
	var walk func(v reflect.Value, name string)
	walk = func(v reflect.Value, name string) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i), name+"."+v.Type().Field(i).Name)
			}
			return
		case reflect.String:
			old := v.String()
			v.SetString(old + "x")
			defer v.SetString(old)
		case reflect.Int, reflect.Int64:
			old := v.Int()
			v.SetInt(old + 1)
			defer v.SetInt(old)
		case reflect.Slice:
			v.Set(reflect.ValueOf([]string{"--flag"}))
			defer v.SetZero()
		default:
			t.Fatalf("%s: a key has strings, whole numbers and flags", name)
		}
		if key.Digest() == before {
			t.Errorf("%s is not in the digest", name)
		}
	}
	walk(reflect.ValueOf(&key).Elem(), "Key")
	if key.Digest() != before {
		t.Error("the key did not come back")
	}
}

func FuzzDecode(f *testing.F) {
	b, err := os.ReadFile(filepath.Join("testdata", "v1.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"schema":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		doc, err := Decode(bytes.NewReader(b))
		if err != nil {
			return
		}
		if err := Write(filepath.Join(t.TempDir(), "x.json"), doc, nil); err != nil {
			t.Errorf("what was read can't be written: %v", err)
		}
	})
}
