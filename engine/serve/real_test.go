//go:build native && real

package serve

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/paceline/paceline/engine"
)

// The versions of OpenAI's own clients that the tests install.
const (
	pythonClient     = "openai==2.8.1"
	javaScriptClient = "openai@6.49.0"
)

// pythonScript asks by the official client what people ask by it, and fails where it is surprised.
const pythonScript = `
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

// javaScript does the same in short.
const javaScript = `
import OpenAI from "openai";
import assert from "node:assert";
const c = new OpenAI({ baseURL: process.argv[2] + "/v1", apiKey: "secret", maxRetries: 0, timeout: 30000 });
const model = (await c.models.list()).data[0].id;
const ask = { model, messages: [{ role: "user", content: "Write a short story about a robot." }], max_tokens: 40, seed: 7 };
const whole = await c.chat.completions.create(ask);
assert.equal(whole.usage.completion_tokens, 40);
let text = "", usage;
for await (const chunk of await c.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } })) {
  text += chunk.choices[0]?.delta.content ?? "";
  usage = chunk.usage ?? usage;
}
assert.equal(text, whole.choices[0].message.content);
assert.equal(usage.completion_tokens, 40);
for await (const chunk of await c.chat.completions.create({ ...ask, max_tokens: 900, stream: true })) break; // hang up
await assert.rejects(c.chat.completions.create({ ...ask, n: 2 }), (e) => e instanceof OpenAI.BadRequestError && e.param === "n");
await assert.rejects(c.chat.completions.create({ ...ask, model: "gpt-9" }), OpenAI.NotFoundError);
`

// installed gives a folder outside the checkout that install has filled once. An installation
// that broke off is made again.
func installed(t *testing.T, name string, install func(dir string)) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "paceline", "clients", name)
	done := filepath.Join(dir, "installed")
	if _, err := os.Stat(done); err == nil {
		return dir
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	install(dir)
	if err := os.WriteFile(done, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// run runs a command and fails with what it said.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// TestRealPythonClient drives the server by OpenAI's own library.
func TestRealPythonClient(t *testing.T) {
	dir := installed(t, "python-"+pythonClient, func(dir string) {
		run(t, "python3", "-m", "venv", dir)
		run(t, filepath.Join(dir, "bin", "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", pythonClient)
	})
	s := newServer(t, robots(t, engine.Options{}), Options{APIKey: "secret"})
	run(t, filepath.Join(dir, "bin", "python"), "-c", pythonScript, s.url)
}

// TestRealJavaScriptClient does so by the other one.
func TestRealJavaScriptClient(t *testing.T) {
	dir := installed(t, "javascript-"+javaScriptClient, func(dir string) {
		run(t, "npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", dir, javaScriptClient)
	})
	file := filepath.Join(dir, "ask.mjs") // beside node_modules, where imports are looked for
	if err := os.WriteFile(file, []byte(javaScript), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, robots(t, engine.Options{}), Options{APIKey: "secret"})
	run(t, "node", file, s.url)
}
