package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseListed(t *testing.T) {
	got, err := parseListed("llama.cpp\tllama-cpp-python 0.3.36\t/c/bin\ncandle\t0.11.1\t/c/candle\n")
	if err != nil || len(got) != 2 || got[0] != (listed{"llama.cpp", "llama-cpp-python 0.3.36", "/c/bin"}) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"llama.cpp /c/bin\n", "a\tb\t\n", "\n"} {
		if _, err := parseListed(bad); err == nil {
			t.Errorf("%q is a list", bad)
		}
	}
}

// TestAllPlaces finds everything by a script like build/peers.sh.
func TestAllPlaces(t *testing.T) {
	t.Setenv("PACELINE_CACHE", t.TempDir())
	dir := t.TempDir()
	for name, text := range map[string]string{
		"config.json": `{"vocab_size": 2048}`, "model.safetensors": "",
		"peers.sh": `#!/bin/sh
case "$1" in
--where) printf 'llama.cpp\tllama 1\t/l\ntransformers\t5\t/t/python\n' ;;
--gguf) [ -f "$2/config.json" ] && printf 'bf16\t1\t/g/bf16\nq8_0\t1\t/g/q8\n' ;;
esac
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p := places{models: map[string]string{"bf16": dir}, script: filepath.Join(dir, "peers.sh"), threads: 3, formats: []string{"bf16"}}
	got, versions, err := p.all(t.Context(), &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Llama != "/l" || got.Python != "/t/python" || got.Candle != "" || got.GGUF["q8_0"] != "/g/q8" || got.GGUF["q4_0"] != "" ||
		got.Threads != 3 || got.Vocabulary != 2048 || got.Models["bf16"] != dir || got.Plain["bf16"] == "" || versions["llama.cpp"] != "llama 1" {
		t.Errorf("%+v, versions %v", got, versions)
	}
	p.script = filepath.Join(dir, "nowhere.sh")
	if _, _, err := p.all(t.Context(), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "-peers") {
		t.Errorf("without the script: %v", err)
	}
}

func FuzzParseListed(f *testing.F) {
	f.Add("llama.cpp\t1\t/c/bin\n")
	f.Fuzz(func(t *testing.T, s string) {
		list, err := parseListed(s)
		for _, l := range list {
			if err != nil || l.name == "" || l.path == "" {
				t.Errorf("%+v, %v", l, err)
			}
		}
	})
}

func TestOptions(t *testing.T) {
	for args, want := range map[string]string{
		"-rounds 0":            "-rounds 0",
		"-format xml":          "-format xml",
		"-threads 0":           "-threads 0",
		"-autogroup -21":       "-autogroup -21",
		"decode-bf16":          `"decode-bf16" is no option`,
		"-model /nowhere":      "no model folder",
		"-only decode-b16":     "there are: decode-bf16",
		"-from /nowhere.json":  "/nowhere.json",
		"-what":                "not defined",
		"-list -only prefill0": "no row",
	} {
		var out bytes.Buffer
		if err := run(t.Context(), strings.Fields(args), &out, &out); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", args, err, want)
		}
	}
	o, err := parse([]string{"-quick", "-only", "decode,start-w8", "-model-w8", "/w8"}, &bytes.Buffer{})
	if err != nil || o.rounds != quickRounds || len(o.only) != 2 || o.find.models["w8"] != "/w8" || o.find.threads < 1 {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestWithoutTokenizer(t *testing.T) {
	t.Setenv("PACELINE_CACHE", t.TempDir())
	dir := t.TempDir()
	for _, name := range []string{"config.json", "tokenizer.json", "model.safetensors"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(`{"vocab_size": 7}`), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second call makes it anew
		plain, err := withoutTokenizer(dir)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(plain)
		if err != nil || len(entries) != 2 {
			t.Errorf("%v, %v: want the configuration and the weights", entries, err)
		}
		for _, e := range entries {
			if !e.Type().IsRegular() {
				t.Errorf("%s is no plain file, which the engine refuses", e.Name())
			}
		}
		if n, err := vocabulary(plain); err != nil || n != 7 {
			t.Errorf("vocabulary %d, %v", n, err)
		}
	}
	if _, err := withoutTokenizer(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder without a model: %v", err)
	}
}
