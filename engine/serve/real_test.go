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
several = c.chat.completions.create(n=3, logprobs=True, top_logprobs=2, **ask)
assert [x.index for x in several.choices] == [0, 1, 2] and several.usage.completion_tokens == 120, several
assert several.choices[0].message.content == whole.choices[0].message.content != several.choices[1].message.content
for x in several.choices:
    entries = x.logprobs.content
    assert len(entries) == 40 and all(len(e.top_logprobs) == 2 and e.logprob <= e.top_logprobs[0].logprob <= 0 for e in entries), x
    assert b"".join(bytes(e.bytes) for e in entries).decode() == x.message.content, x
parts, entries = ["", "", ""], [[], [], []]
for chunk in c.chat.completions.create(stream=True, n=3, logprobs=True, top_logprobs=2, **ask):
    for x in chunk.choices:
        parts[x.index] += x.delta.content or ""
        entries[x.index] += x.logprobs.content if x.logprobs else []
assert parts == [x.message.content for x in several.choices], parts
assert entries == [x.logprobs.content for x in several.choices], entries
old = c.completions.create(model=model, prompt="Once upon", max_tokens=8, seed=1, logprobs=2, n=2)
for x in old.choices:
    p = x.logprobs
    assert len(p.tokens) == len(p.token_logprobs) == len(p.top_logprobs) == len(p.text_offset) == 8, p
    assert all(p.top_logprobs[i][p.tokens[i]] == p.token_logprobs[i] for i in range(8)), p
    assert all(x.text[at:].startswith(tok) for tok, at in zip(p.tokens, p.text_offset)), x
echoed = c.completions.create(model=model, prompt="Once upon", max_tokens=8, seed=1, echo=True)
assert echoed.choices[0].text == "Once upon" + old.choices[0].text, echoed
calm = dict(ask, temperature=0, max_tokens=150)
plain = c.chat.completions.create(**calm).choices[0].message.content
for more in (dict(presence_penalty=1.5), dict(frequency_penalty=1.0), dict(extra_body=dict(repetition_penalty=1.2))):
    once, again = (c.chat.completions.create(**calm, **more).choices[0].message.content for _ in range(2))
    assert once == again != plain, (more, once)
long = c.chat.completions.create(**dict(calm, max_tokens=600), extra_body=dict(min_tokens=500))
assert long.usage.completion_tokens >= 500, long
for bad, kind in ((dict(n=0), openai.BadRequestError), (dict(model="gpt-9"), openai.NotFoundError), (dict(top_logprobs=2), openai.BadRequestError), (dict(presence_penalty=3), openai.BadRequestError), (dict(tools=[{"type": "function", "function": {"name": "f"}}]), openai.BadRequestError)):
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
const several = await c.chat.completions.create({ ...ask, n: 2, logprobs: true, top_logprobs: 3, frequency_penalty: 0.5 });
assert.deepEqual(several.choices.map((x) => x.index), [0, 1]);
assert.notEqual(several.choices[0].message.content, several.choices[1].message.content);
const parts = ["", ""];
const entries = [[], []];
for await (const chunk of await c.chat.completions.create({ ...ask, n: 2, logprobs: true, top_logprobs: 3, frequency_penalty: 0.5, stream: true }))
  for (const x of chunk.choices) {
    parts[x.index] += x.delta.content ?? "";
    entries[x.index].push(...(x.logprobs?.content ?? []));
  }
assert.deepEqual(parts, several.choices.map((x) => x.message.content));
assert.deepEqual(entries, several.choices.map((x) => x.logprobs.content));
assert.equal(entries[0].length, 40);
assert.equal(Buffer.concat(entries[0].map((e) => Buffer.from(e.bytes))).toString(), parts[0]);
await assert.rejects(c.chat.completions.create({ ...ask, n: 0 }), (e) => e instanceof OpenAI.BadRequestError && e.param === "n");
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
