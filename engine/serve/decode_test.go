package serve

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
)

const hello = `"messages":[{"role":"user","content":"hi"}]`

// TestRefusals: each bad request is refused for the right parameter.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		api         api
		body        string
		param, says string
	}{
		"empty body":               {chatAPI, ``, "", "not a JSON object"},
		"null":                     {chatAPI, `null`, "", "it is null"},
		"a list":                   {chatAPI, `[]`, "", "it is a JSON array"},
		"two objects":              {chatAPI, `{} {}`, "", "after top-level value"},
		"NaN":                      {completionAPI, `{"prompt":"x","temperature":NaN}`, "", "byte"},
		"not UTF-8":                {completionAPI, "{\"prompt\":\"\xff\"}", "", "UTF-8"},
		"deep":                     {chatAPI, `{"messages":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`, "", "depth"},
		"near miss":                {completionAPI, `{"prompt":"x","temprature":1}`, "temprature", "did you mean temperature?"},
		"far miss":                 {completionAPI, `{"prompt":"x","zzzzzzzzzzz":1}`, "zzzzzzzzzzz", "unknown parameter"},
		"case matters":             {completionAPI, `{"prompt":"x","Top_p":1}`, "Top_p", "did you mean top_p?"},
		"the other API's":          {completionAPI, `{` + hello + `}`, "messages", "unknown parameter"},
		"prompt in chat":           {chatAPI, `{"prompt":"x",` + hello + `}`, "prompt", "unknown parameter"},
		"no choice":                {completionAPI, `{"prompt":"x","n":0}`, "n", "at least 1"},
		"too many choices":         {completionAPI, `{"prompt":"x","n":129}`, "n", "at most 128"},
		"logprobs is a count":      {chatAPI, `{"logprobs":2,` + hello + `}`, "logprobs", "true or false"},
		"top without logprobs":     {chatAPI, `{"top_logprobs":2,` + hello + `}`, "top_logprobs", "only with"},
		"21 of them":               {chatAPI, `{"logprobs":true,"top_logprobs":21,` + hello + `}`, "top_logprobs", "at most 20"},
		"logprobs is a flag":       {completionAPI, `{"prompt":"x","logprobs":true}`, "logprobs", "whole number"},
		"21 in a completion":       {completionAPI, `{"prompt":"x","logprobs":21}`, "logprobs", "at most 20"},
		"echo with logprobs":       {completionAPI, `{"prompt":"x","logprobs":1,"echo":true}`, "echo", "not with logprobs"},
		"echo in a chat":           {chatAPI, `{"echo":true,` + hello + `}`, "echo", "give false"},
		"best_of":                  {completionAPI, `{"prompt":"x","best_of":2}`, "best_of", "give 1"},
		"tools":                    {chatAPI, `{"tools":[{"type":"function"}],` + hello + `}`, "tools", "not supported"},
		"JSON mode":                {chatAPI, `{"response_format":{"type":"json_object"},` + hello + `}`, "response_format", "not supported"},
		"frequency":                {chatAPI, `{"frequency_penalty":2.5,` + hello + `}`, "frequency_penalty", "-2 to 2"},
		"presence":                 {chatAPI, `{"presence_penalty":-3,` + hello + `}`, "presence_penalty", "-2 to 2"},
		"repetition":               {chatAPI, `{"repetition_penalty":0,` + hello + `}`, "repetition_penalty", "0.01 to 100"},
		"bias of a word":           {chatAPI, `{"logit_bias":{"robot":1},` + hello + `}`, "logit_bias", "token id"},
		"bias beyond":              {chatAPI, `{"logit_bias":{"5":101},` + hello + `}`, "logit_bias", "-100 to 100"},
		"bias is a list":           {chatAPI, `{"logit_bias":[1],` + hello + `}`, "logit_bias", "an object"},
		"bias is a text":           {chatAPI, `{"logit_bias":{"5":"1"},` + hello + `}`, "logit_bias", "a number"},
		"effort":                   {chatAPI, `{"reasoning_effort":"low",` + hello + `}`, "reasoning_effort", "leave it out"},
		"temperature is text":      {completionAPI, `{"prompt":"x","temperature":"1"}`, "temperature", "want a number"},
		"temperature below 0":      {completionAPI, `{"prompt":"x","temperature":-0.1}`, "temperature", "0 to 100"},
		"temperature is infinite":  {completionAPI, `{"prompt":"x","temperature":1e999}`, "temperature", "want a number"},
		"top_p above 1":            {completionAPI, `{"prompt":"x","top_p":1.1}`, "top_p", "0 to 1"},
		"top_k":                    {completionAPI, `{"prompt":"x","top_k":-2}`, "top_k", "at least -1"},
		"seed is a fraction":       {completionAPI, `{"prompt":"x","seed":1.5}`, "seed", "whole number"},
		"max_tokens 0":             {completionAPI, `{"prompt":"x","max_tokens":0}`, "max_tokens", "at least 1"},
		"max_tokens is huge":       {completionAPI, `{"prompt":"x","max_tokens":99999999999999999999}`, "max_tokens", "whole number"},
		"max_tokens twice":         {chatAPI, `{"max_tokens":1,"max_completion_tokens":2,` + hello + `}`, "max_tokens", "differ"},
		"min above max":            {completionAPI, `{"prompt":"x","min_tokens":3,"max_tokens":2}`, "min_tokens", "more than"},
		"stream is a number":       {completionAPI, `{"prompt":"x","stream":1}`, "stream", "true or false"},
		"options without stream":   {completionAPI, `{"prompt":"x","stream_options":{"include_usage":true}}`, "stream_options", "only with"},
		"an option's near miss":    {completionAPI, `{"prompt":"x","stream":true,"stream_options":{"include_usge":true}}`, "stream_options.include_usge", "include_usage?"},
		"the other is none":        {completionAPI, `{"prompt":"x","stream":true,"stream_options":{"continuous_usage_stats":2}}`, "stream_options.continuous_usage_stats", "true or false"},
		"option is no flag":        {completionAPI, `{"prompt":"x","stream":true,"stream_options":{"include_usage":1}}`, "stream_options.include_usage", "true or false"},
		"options are text":         {completionAPI, `{"prompt":"x","stream":true,"stream_options":"a"}`, "stream_options", "want an object"},
		"stop is empty":            {completionAPI, `{"prompt":"x","stop":""}`, "stop", "1 to 256"},
		"stop is a number":         {completionAPI, `{"prompt":"x","stop":[1]}`, "stop", "list of texts"},
		"too many stops":           {completionAPI, `{"prompt":"x","stop":["` + strings.Repeat(`a","`, 16) + `b"]}`, "stop", "at most 16"},
		"stop ids":                 {completionAPI, `{"prompt":"x","stop_token_ids":["a"]}`, "stop_token_ids", "token ids"},
		"no prompt":                {completionAPI, `{}`, "prompt", "missing"},
		"null prompt":              {completionAPI, `{"prompt":null}`, "prompt", "missing"},
		"empty prompt":             {completionAPI, `{"prompt":""}`, "prompt", "empty"},
		"no ids":                   {completionAPI, `{"prompt":[]}`, "prompt", "empty"},
		"two prompts":              {completionAPI, `{"prompt":["a","b"]}`, "prompt", "2 prompts"},
		"mixed prompt":             {completionAPI, `{"prompt":[1,"b"]}`, "prompt", "want a text"},
		"ids are fractions":        {completionAPI, `{"prompt":[1.5]}`, "prompt", "want a text"},
		"no messages":              {chatAPI, `{}`, "messages", "missing"},
		"empty messages":           {chatAPI, `{"messages":[]}`, "messages", "0 of them"},
		"messages are text":        {chatAPI, `{"messages":"hi"}`, "messages", "list of messages"},
		"a message is text":        {chatAPI, `{"messages":["hi"]}`, "messages[0]", "want a message"},
		"no role":                  {chatAPI, `{"messages":[{"content":"a"}]}`, "messages[0].role", "want system"},
		"unknown role":             {chatAPI, `{"messages":[{"role":"robot","content":"a"}]}`, "messages[0].role", "robot"},
		"no content":               {chatAPI, `{"messages":[{"role":"user"}]}`, "messages[0].content", "missing"},
		"content is a number":      {chatAPI, `{"messages":[{"role":"user","content":1}]}`, "messages[0].content", "want a text"},
		"an image":                 {chatAPI, `{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url"}]}]}`, "messages[0].content[1]", "text only"},
		"a message's near miss":    {chatAPI, `{"messages":[{"role":"user","contnt":"a"}]}`, "messages[0].contnt", "did you mean content?"},
		"template's are a list":    {chatAPI, `{"chat_template_kwargs":[1],` + hello + `}`, "chat_template_kwargs", "an object"},
		"ignore_eos is a text":     {chatAPI, `{"ignore_eos":"true",` + hello + `}`, "ignore_eos", "true or false"},
		"a name of a thousand":     {chatAPI, `{"` + strings.Repeat("x", 1000) + `":1,` + hello + `}`, strings.Repeat("x", 1000), "…"},
		"model is a number":        {chatAPI, `{"model":1,` + hello + `}`, "model", "a text"},
		"the first is what counts": {chatAPI, `{"store":true,"temperature":-1}`, "store", "give false"},
	} {
		t.Run(name, func(t *testing.T) {
			_, f := decode(c.api, []byte(c.body))
			if f == nil {
				t.Fatal("it was taken")
			}
			if f.status != 400 || f.param != c.param || !strings.Contains(f.message, c.says) {
				t.Errorf("%d for %q: %s; want 400 for %q with %q", f.status, f.param, f.message, c.param, c.says)
			}
			if len(f.message) > 400 {
				t.Errorf("a message of %d bytes", len(f.message))
			}
		})
	}
}

// TestNeutralValues: what asks for nothing is taken, so that clients may send their defaults.
func TestNeutralValues(t *testing.T) {
	for name, values := range off() {
		for _, v := range append(values, "null") {
			if _, f := decode(chatAPI, fmt.Appendf(nil, `{%q:%s,%s}`, name, v, hello)); f != nil {
				t.Errorf("%s %s: %s", name, v, f.message)
			}
		}
	}
	for _, name := range harmless() {
		if _, f := decode(completionAPI, fmt.Appendf(nil, `{%q:"anything","prompt":"x"}`, name)); f != nil {
			t.Errorf("%s: %s", name, f.message)
		}
	}
	if _, f := decode(chatAPI, []byte(`{"presence_penalty":0.0,"n":1.0,"response_format":{ "type" : "text" },`+hello+`}`)); f != nil {
		t.Errorf("other spellings: %s", f.message)
	}
}

func TestDecode(t *testing.T) {
	q, f := decode(chatAPI, []byte(`{"model":"m","messages":[
		{"role":"developer","content":"be brief"},
		{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"name":"me"},
		{"role":"assistant","content":null,"tool_calls":[]}],
		"temperature":0.5,"top_p":0.25,"top_k":7,"seed":-1,"max_completion_tokens":9.0,"stop":["x","y"],
		"n":3,"logprobs":true,"top_logprobs":4,"logit_bias":{"9":-1.5,"2":100},"presence_penalty":-1,"frequency_penalty":0.5,"repetition_penalty":1.25,
		"stop_token_ids":[3],"min_tokens":2,"ignore_eos":true,"cache_prompt":false,"stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true},
		"chat_template_kwargs":{"enable_thinking":false},"user":"me"}`))
	if f != nil {
		t.Fatal(f)
	}
	if want := (backend.Sampling{Temperature: 0.5, TopP: 0.25, TopK: 7, Seed: 1<<64 - 1}); q.sampling != want || !q.seeded {
		t.Errorf("sampling %+v, want %+v", q.sampling, want)
	}
	if q.model != "m" || q.maxTokens != 9 || !q.ignoreEOS || !q.noCache || !q.stream || !q.usage || !q.usageAlways || q.minTokens != 2 {
		t.Errorf("%+v", q)
	}
	if q.n != 3 || !q.logProbs || q.top != 4 {
		t.Errorf("%d choices, log-probabilities %v of %d", q.n, q.logProbs, q.top)
	}
	if want := (sample.Penalties{Repetition: 1.25, Presence: -1, Frequency: 0.5, Bias: []sample.Bias{{ID: 2, Add: 100}, {ID: 9, Add: -1.5}}}); !reflect.DeepEqual(q.penalties, want) {
		t.Errorf("penalties %+v, want %+v", q.penalties, want)
	}
	if fmt.Sprint(q.stop, q.stopTokens) != "[x y] [3]" {
		t.Errorf("stops %v %v", q.stop, q.stopTokens)
	}
	m := q.chat.Messages
	if len(m) != 3 || m[0].Role != "system" || m[1].Content != "ab" || string(m[1].Extra) != `{"name":"me"}` || string(m[2].Extra) != `{"tool_calls":[]}` {
		t.Errorf("messages %+v", m)
	}
	if string(q.chat.Vars["enable_thinking"]) != "false" || !q.chat.AddGenerationPrompt {
		t.Errorf("conversation %+v", q.chat)
	}
	for body, want := range map[string]string{
		`{"prompt":"a"}`:          "a []",
		`{"prompt":["a"]}`:        "a []",
		`{"prompt":[1,2]}`:        " [1 2]",
		`{"prompt":[[1,2]]}`:      " [1 2]",
		`{"prompt":"a\u0000\"b"}`: "a\x00\"b []",
	} {
		q, f := decode(completionAPI, []byte(body))
		if f != nil {
			t.Errorf("%s: %s", body, f.message)
		} else if got := q.prompt + " " + fmt.Sprint(q.ids); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
	if q, f := decode(completionAPI, []byte(`{"prompt":"a","top_p":0,"seed":4}`)); f != nil || q.sampling != (backend.Sampling{Seed: 4}) {
		t.Errorf("top_p 0: %+v, %v; want the likeliest token", q.sampling, f)
	}
	if q, f := decode(completionAPI, []byte(`{"prompt":"a","logprobs":0,"n":null}`)); f != nil || !q.logProbs || q.top != 0 || q.n != 1 {
		t.Errorf("logprobs 0: %+v, %v; want the tokens' own", q, f)
	}
	for _, body := range []string{`{"prompt":"a"}`, `{"prompt":"a","logprobs":false,"echo":false,"top_logprobs":0}`} {
		if q, f := decode(completionAPI, []byte(body)); f != nil || q.logProbs || q.echo || len(q.penalties.Bias) != 0 {
			t.Errorf("%s: %+v, %v; want no log-probabilities", body, q, f)
		}
	}
	if q, f := decode(completionAPI, []byte(`{"prompt":"a"}`)); f != nil || q.sampling.Temperature != 1 || q.seeded {
		t.Errorf("defaults: %+v, %v; want OpenAI's temperature of 1 and no seed", q, f)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{` + hello + `,"stream":true,"stream_options":{"include_usage":true},"stop":["a"],"seed":1}`,
		`{"prompt":[[1,2]],"min_tokens":1,"ignore_eos":true,"max_tokens":4,"temperature":0.5}`,
		`{"messages":[{"role":"user","content":[{"type":"text","text":"é"}]}],"chat_template_kwargs":{"a":[{}]}}`,
		`{"prompt":"x","logprobs":5,"echo":true,"n":4,"stream":true,"stream_options":{"continuous_usage_stats":true}}`,
		`{"prompt":"x","top_k":1e3,"logit_bias":{"1":1},"n":1,"repetition_penalty":2}`, `[`, `{"a":NaN}`, "\xff", `{"stop":`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, a := range []api{chatAPI, completionAPI} {
			q, fail := decode(a, body)
			if fail != nil {
				if _, err := encode(fail); err != nil || fail.status != 400 || fail.message == "" {
					t.Errorf("%v: %+v", err, fail)
				}
				continue
			}
			s := q.sampling
			if !(s.Temperature >= 0 && s.Temperature <= 100 && s.TopP >= 0 && s.TopP <= 1 && s.TopK >= 0) || q.maxTokens < 0 || q.minTokens < 0 || q.n < 1 || q.n > maxChoices || q.top < 0 || q.top > 20 || len(q.penalties.Bias) > maxBiases {
				t.Errorf("taken: %+v", q)
			}
			if (a == chatAPI) != (len(q.chat.Messages) > 0) || a == completionAPI && q.prompt == "" && len(q.ids) == 0 {
				t.Errorf("taken without a prompt: %+v", q)
			}
		}
		_, _ = decodeTokenize(body)
	})
}
