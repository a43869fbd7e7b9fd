package build

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Programs that only pretend, for build/peers.sh.
const (
	fakePeerCargo = `#!/usr/bin/env bash
if [ "$1" = --version ]; then echo "cargo ${FAKE_CARGO_VERSION:-1.90.0} (0123456 2026-01-01)"; exit 0; fi
echo built >>"$FAKE_CARGO_LOG"
while [ $# -gt 0 ]; do [ "$1" = --target-dir ] && target=$2; shift; done
mkdir -p "$target/release"
echo half >>"$target/half"
[ -z "${FAKE_CARGO_FAILS:-}" ] || { echo "error: could not compile" >&2; exit 101; }
cp "$target/half" "$target/release/candle-peer"
`
	// python3 -m venv makes a folder whose pip downloads something that isn't llama.cpp.
	fakePython = `#!/usr/bin/env bash
case "$*" in
"-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && cp "$0.pip" "$3/bin/pip" ;;
*gguf_write.py*) echo converted >>"$FAKE_CARGO_LOG"; echo gguf >"${@: -1}" ;;
esac
`
	fakePip = `#!/usr/bin/env bash
while [ $# -gt 0 ]; do [ "$1" = -d ] && mkdir -p "$2" && echo no archive >"$2/llama_cpp_python-0.3.36.tar.gz"; shift; done
exit 0
`
	fakeQuantize = "#!/usr/bin/env bash\n[ -s \"$1\" ] && echo \"$3\" >\"$2\"\n"
)

// newPeersWorkplace has build/peers.sh and what it calls.
func newPeersWorkplace(t *testing.T) *workplace {
	t.Helper()
	b := newWorkplace(t)
	for _, tool := range []string{"find", "getconf", "make", "sysctl", "tar", "touch", "tr", "uname", "g++"} {
		if path, err := exec.LookPath(tool); err == nil {
			if err := os.Symlink(path, filepath.Join(b.bin, tool)); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.write(t, "bin/cargo", fakePeerCargo)
	b.write(t, "bin/python3", fakePython)
	b.write(t, "bin/python3.pip", fakePip)
	b.write(t, "bin/cmake", "#!/usr/bin/env bash\necho cmake version 3.25.1\n")
	for _, dir := range []string{"build/peers/candle/src"} {
		if err := os.MkdirAll(filepath.Join(b.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{
		"peers.sh", "peers/requirements.txt", "peers/requirements-gguf.txt", "peers/gguf_write.py",
		"peers/candle/Cargo.toml", "peers/candle/Cargo.lock", "peers/candle/src/main.rs",
	} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b.write(t, "build/"+name, string(data))
	}
	return b
}

// peers runs the script with arguments; out is all of its standard output.
func (b *workplace) peers(t *testing.T, args []string, env ...string) (out, said string, err error) {
	t.Helper()
	// run calls a script without arguments.
	b.write(t, "build/call.sh", "#!/usr/bin/env bash\nexec bash \"${0%/*}/peers.sh\" "+strings.Join(args, " ")+" >\"${0%/*}/out\"\n")
	_, said, err = b.run(t, "call.sh", env...)
	data, readErr := os.ReadFile(filepath.Join(b.root, "build", "out"))
	if readErr != nil {
		t.Fatal(readErr)
	}
	return string(data), said, err
}

func TestPeersAreBuiltOnceAndListed(t *testing.T) {
	b := newPeersWorkplace(t)
	if out, said, err := b.peers(t, []string{"--where"}); err != nil || out != "" {
		t.Fatalf("nothing is built, and it lists %q, %v\n%s", out, err, said)
	}
	first, said, err := b.peers(t, []string{"candle"})
	fields := strings.Split(strings.TrimSpace(first), "\t")
	if err != nil || len(fields) != 3 || fields[0] != "candle" || fields[1] != "0.11.1" {
		t.Fatalf("it listed %q, %v\n%s", first, err, said)
	}
	if _, err := os.Stat(fields[2]); err != nil || !strings.HasPrefix(fields[2], filepath.Join(b.root, "cache", "peers")) {
		t.Errorf("%s is not in the cache: %v", fields[2], err)
	}
	if !strings.Contains(said, "built in") {
		t.Errorf("it didn't say how long it took: %s", said)
	}
	for _, args := range [][]string{{"candle"}, {"--where"}, {"--where", "candle"}} {
		if again, said, err := b.peers(t, args); err != nil || again != first || b.builds() != 1 {
			t.Errorf("%q listed %q, %v after %d builds, want %q after one\n%s", args, again, err, b.builds(), first, said)
		}
	}
	b.write(t, "build/peers/candle/src/main.rs", "// another program")
	if other, said, err := b.peers(t, []string{"candle"}); err != nil || other == first || b.builds() != 2 {
		t.Errorf("a changed source gave %q, %v after %d builds\n%s", other, err, b.builds(), said)
	}
}

// TestAnInterruptedPeerGoesOn: what was compiled before a failure is there the next time.
func TestAnInterruptedPeerGoesOn(t *testing.T) {
	b := newPeersWorkplace(t)
	if out, said, err := b.peers(t, []string{"candle"}, "FAKE_CARGO_FAILS=1"); err == nil || out != "" || !strings.Contains(said, "run this again to go on") {
		t.Fatalf("a build that fails gave %q, %v\n%s", out, err, said)
	}
	if out, _, err := b.peers(t, []string{"--where", "candle"}); err != nil || out != "" {
		t.Errorf("half a build is listed: %q, %v", out, err)
	}
	out, said, err := b.peers(t, []string{"candle"})
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	built, err := os.ReadFile(strings.Split(strings.TrimSpace(out), "\t")[2])
	if err != nil || string(built) != "half\nhalf\n" {
		t.Errorf("the second build began anew: %q, %v", built, err)
	}
}

func TestPeersSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		name  string
		args  []string
		env   string
		spoil func(t *testing.T, b *workplace)
		want  string
	}{
		{"a misspelt peer", []string{"candle", "lama.cpp"}, "", nil, "no peer is called 'lama.cpp'"},
		{"a misspelt option", []string{"--were"}, "", nil, "unknown option --were"},
		{"no number of jobs", []string{"candle"}, "PEERS_JOBS=all", nil, "PEERS_JOBS is 'all'"},
		{"an old cargo", []string{"candle"}, "FAKE_CARGO_VERSION=1.70.0", nil, "cargo 1.70.0 is too old"},
		{"no cmake", []string{"llama.cpp"}, "", func(t *testing.T, b *workplace) { remove(t, b, "bin/cmake") }, "apt-get install cmake"},
		{"no python", []string{"transformers"}, "", func(t *testing.T, b *workplace) { remove(t, b, "bin/python3") }, "apt-get install python3"},
		{"another archive than the pinned one", []string{"llama.cpp"}, "", nil, "is expected; remove it and run this again"},
		{"no model", []string{"--gguf", "nowhere"}, "", nil, "no config.json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newPeersWorkplace(t)
			if c.spoil != nil {
				c.spoil(t, b)
			}
			out, said, err := b.peers(t, c.args, c.env)
			if err == nil || !strings.Contains(said, c.want) {
				t.Errorf("got %v and %q, want an error with %q", err, said, c.want)
			}
			if out != "" || b.builds() > 0 {
				t.Errorf("listed %q and built %d times although it failed", out, b.builds())
			}
		})
	}
}

func TestAModelIsConvertedOnce(t *testing.T) {
	b := newPeersWorkplace(t)
	if err := os.Mkdir(filepath.Join(b.root, "model"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config.json", "tokenizer.json", "model.safetensors"} {
		b.write(t, "model/"+name, name)
	}
	args := []string{"--gguf", filepath.Join(b.root, "model")}
	if _, said, err := b.peers(t, args); err == nil || !strings.Contains(said, "make peers PEERS=llama.cpp") {
		t.Fatalf("without llama.cpp: %v\n%s", err, said)
	}
	// The build fails at the archive, which leaves the folder that a whole one would fill.
	_, _, _ = b.peers(t, []string{"llama.cpp"})
	folders, err := filepath.Glob(filepath.Join(b.root, "cache", "peers", "llama.cpp", "*"))
	if err != nil || len(folders) != 1 {
		t.Fatalf("folders %q, %v", folders, err)
	}
	llama, err := filepath.Rel(b.root, folders[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(folders[0], "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.write(t, llama+"/bin/llama-quantize", fakeQuantize)
	b.write(t, llama+"/complete", "1\n")
	first, said, err := b.peers(t, args)
	if err != nil || strings.Count(first, "\n") != 3 || !strings.Contains(first, "q4_0\tllama-cpp-python 0.3.36\t") {
		t.Fatalf("listed %q, %v\n%s", first, err, said)
	}
	again, said, err := b.peers(t, args)
	log, _ := os.ReadFile(filepath.Join(b.root, "cargo.log"))
	if err != nil || again != first || strings.Count(string(log), "converted") != 1 {
		t.Errorf("the second call listed %q, %v after %q, want %q after one conversion\n%s", again, err, log, first, said)
	}
	b.write(t, "model/model.safetensors", "other weights")
	if other, said, err := b.peers(t, args); err != nil || other == first {
		t.Errorf("other weights gave %q, %v\n%s", other, err, said)
	}
}
