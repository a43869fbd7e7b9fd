//go:build native && real

package serve

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/paceline/paceline/engine"
)

// pythonClient is the version of OpenAI's own client that the test installs.
const pythonClient = "openai==2.8.1"

// script asks by the official client what people ask by it, and fails where it is surprised.
const script = `
import sys, openai
c = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="secret", max_retries=0, timeout=30)
model = c.models.list().data[0].id
assert c.models.retrieve(model).id == model
ask = dict(model=model, messages=[{"role": "user", "content": "Write a short story about a robot."}], max_tokens=40, seed=7, user="me")
whole = c.chat.completions.create(**ask)
assert whole.choices[0].finish_reason == "length" and whole.usage.completion_tokens == 40, whole
assert whole.usage.prompt_tokens_details.cached_tokens == 0, whole
assert whole.timings["prefill_ms"] > 0, whole
text, usage = "", None
for chunk in c.chat.completions.create(stream=True, stream_options={"include_usage": True}, **ask):
    for choice in chunk.choices:
        text += choice.delta.content or ""
    usage = chunk.usage or usage
assert text == whole.choices[0].message.content and usage.completion_tokens == 40, (text, whole)
plain = c.completions.create(model=model, prompt="Once upon", max_tokens=8, stop=["zzz"], extra_body={"ignore_eos": True, "min_tokens": 0, "top_k": 5})
assert plain.usage.completion_tokens == 8 and plain.choices[0].text, plain
with c.chat.completions.create(stream=True, **{**ask, "max_tokens": 900}) as s:
    next(iter(s))  # and hang up
for bad, kind in ((dict(n=2), openai.BadRequestError), (dict(model="gpt-9"), openai.NotFoundError), (dict(logprobs=True), openai.BadRequestError)):
    try:
        c.chat.completions.create(**{**ask, **bad})
    except kind as e:
        assert e.param == list(bad)[0] and e.type == "invalid_request_error", e
    else:
        raise SystemExit("%r was taken" % bad)
try:
    c.with_options(api_key="wrong").models.list()
except openai.AuthenticationError as e:
    assert e.code == "invalid_api_key", e
else:
    raise SystemExit("a wrong key was taken")
`

// TestRealPythonClient drives the server by OpenAI's own library.
func TestRealPythonClient(t *testing.T) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	dir := filepath.Join(cache, "paceline", "python", pythonClient)
	python := filepath.Join(dir, "bin", "python")
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(ctx, name, args...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args[:min(3, len(args))], err, out.Bytes())
		}
	}
	done := filepath.Join(dir, "installed") // an installation that broke off is made again
	if _, err := os.Stat(done); err != nil {
		run("python3", "-m", "venv", "--clear", dir)
		run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", pythonClient)
		if err := os.WriteFile(done, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := newServer(t, robots(t, engine.Options{}), Options{APIKey: "secret"})
	run(python, "-c", script, s.url)
}
