package serve

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
)

// penalties reads what makes tokens less or more likely. The ranges are OpenAI's; the
// repetition penalty's is what any use of it stays far inside of.
func penalties(o *object) sample.Penalties {
	return sample.Penalties{
		Repetition: float32(o.number("repetition_penalty", 0.01, 100, 1)),
		Presence:   float32(o.number("presence_penalty", -2, 2, 0)),
		Frequency:  float32(o.number("frequency_penalty", -2, 2, 0)),
		Bias:       biases(o),
	}
}

// biases reads logit_bias, an object of token ids. An id that is written in two ways is refused by
// the engine.
func biases(o *object) []sample.Bias {
	var raw map[string]json.RawMessage
	if !o.read("logit_bias", &raw, "an object of token ids, such as {\"42\": -100}") {
		return nil
	}
	if len(raw) > maxBiases {
		o.fail(refuse("logit_bias", "logit_bias: %d ids: want at most %d", len(raw), maxBiases))
		return nil
	}
	out := make([]sample.Bias, 0, len(raw))
	for name, value := range raw {
		id, err := strconv.ParseInt(name, 10, 32)
		var add float64
		if err != nil || json.Unmarshal(value, &add) != nil || !(add >= -100 && add <= 100) {
			o.fail(refuse("logit_bias", "logit_bias: want a token id and a number from -100 to 100, not %q: %s", shown([]byte(name)), shown(value)))
			return nil
		}
		out = append(out, sample.Bias{ID: int32(id), Add: float32(add)})
	}
	slices.SortFunc(out, func(a, b sample.Bias) int { return int(a.ID) - int(b.ID) })
	return out
}

// readLogProbs reads how many log-probabilities are wanted: a chat says whether and how many, a
// completion how many.
func (q *asked) readLogProbs(o *object) {
	if q.api == chatAPI {
		q.logProbs = o.flag("logprobs", false)
		q.top = int(o.count("top_logprobs", 0, backend.MaxTopLogProbs, 0))
		if q.top > 0 && !q.logProbs {
			o.fail(refuse("top_logprobs", "top_logprobs: only with \"logprobs\": true"))
		}
		return
	}
	if o.has("logprobs") && !o.is("logprobs", []string{"false"}) {
		q.logProbs = true
		q.top = int(o.count("logprobs", 0, backend.MaxTopLogProbs, 0))
	}
	q.echo = o.flag("echo", false)
	if q.echo && q.logProbs {
		f := refuse("echo", "echo: not with logprobs: this server gives none of the prompt's tokens")
		f.code = "unsupported_parameter"
		o.fail(f)
	}
}
