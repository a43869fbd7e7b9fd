package model

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The same model in both dialects, as the hub has it and as transformers 5 saves it.
const (
	hubConfig = `{"architectures":["Qwen2ForCausalLM"],"attention_dropout":0.0,"bos_token_id":151643,"eos_token_id":151645,
"hidden_act":"silu","hidden_size":896,"initializer_range":0.02,"intermediate_size":4864,"max_position_embeddings":32768,
"max_window_layers":21,"model_type":"qwen2","num_attention_heads":14,"num_hidden_layers":2,"num_key_value_heads":2,
"rms_norm_eps":1e-06,"rope_theta":1000000.0,"sliding_window":32768,"tie_word_embeddings":true,"torch_dtype":"bfloat16",
"transformers_version":"4.43.1","use_cache":true,"use_sliding_window":false,"vocab_size":151936}`
	v5Config = `{"architectures":["Qwen2ForCausalLM"],"attention_dropout":0.0,"bos_token_id":151643,"dtype":"bfloat16","eos_token_id":[151645],
"hidden_act":"silu","hidden_size":896,"initializer_range":0.02,"intermediate_size":4864,"layer_types":["full_attention","full_attention"],
"max_position_embeddings":32768,"max_window_layers":21,"model_type":"qwen2","num_attention_heads":14,"num_hidden_layers":2,
"num_key_value_heads":2,"pad_token_id":null,"rms_norm_eps":1e-06,"rope_parameters":{"rope_theta":1000000.0,"rope_type":"default"},
"sliding_window":null,"tie_word_embeddings":true,"transformers_version":"5.0.0","use_cache":true,"use_sliding_window":false,"vocab_size":151936}`
)

func TestParseConfigDialects(t *testing.T) {
	want := Config{
		Architecture: "Qwen2ForCausalLM", VocabSize: 151936, HiddenSize: 896, IntermediateSize: 4864, Layers: 2,
		Heads: 14, KVHeads: 2, HeadDim: 64, MaxPositions: 32768, RopeTheta: 1e6, RMSNormEps: 1e-6,
		TieEmbeddings: true, DType: "bfloat16", BOS: 151643, EOS: []int32{151645},
	}
	for dialect, text := range map[string]string{DialectHub: hubConfig, DialectV5: v5Config} {
		t.Run(dialect, func(t *testing.T) {
			got, err := parseConfig([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got.Config); diff != "" {
				t.Errorf("config differs (-want +got):\n%s", diff)
			}
			if got.dialect != dialect || got.synthetic || !got.tieStated {
				t.Errorf("got dialect %q, synthetic %v, tie stated %v", got.dialect, got.synthetic, got.tieStated)
			}
		})
	}
}

func TestParseConfigDefaults(t *testing.T) {
	got, err := parseConfig([]byte(`{"model_type":"qwen2","vocab_size":10,"hidden_size":8,"intermediate_size":8,
"num_hidden_layers":1,"num_attention_heads":2,"max_position_embeddings":8}`))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Architecture: "Qwen2ForCausalLM", VocabSize: 10, HiddenSize: 8, IntermediateSize: 8, Layers: 1, Heads: 2, KVHeads: 2,
		HeadDim: 4, MaxPositions: 8, RopeTheta: 10000, RMSNormEps: 1e-6, BOS: -1,
	}
	if diff := cmp.Diff(want, got.Config); diff != "" || got.tieStated {
		t.Errorf("tie stated %v, config differs (-want +got):\n%s", got.tieStated, diff)
	}
}

func TestParseConfigRefusals(t *testing.T) {
	for _, c := range []struct {
		name     string
		old, new string // replaced in hubConfig
		kind     error
		want     string
	}{
		{"no JSON", hubConfig, `hello`, ErrInvalid, "invalid character"},
		{"empty", hubConfig, ``, ErrInvalid, "unexpected EOF"},
		{"null", hubConfig, `null`, ErrInvalid, "want an object"},
		{"list", hubConfig, `[]`, ErrInvalid, "cannot unmarshal array"},
		{"two values", hubConfig, `{} {}`, ErrInvalid, "follows"},
		{"deep", hubConfig, `{"a":` + strings.Repeat("[", 40), ErrInvalid, "nest deeper"},
		{"not a model", hubConfig, `{}`, ErrInvalid, "neither architectures nor model_type"},
		{"key twice", `"use_cache":true`, `"vocab_size":1`, ErrInvalid, `"vocab_size" appears twice`},
		{"another architecture", `Qwen2ForCausalLM`, `LlamaForCausalLM`, ErrUnsupported, "supported: Qwen2ForCausalLM"},
		{"another model type", `"qwen2"`, `"qwen3"`, ErrUnsupported, `supported: "qwen2"`},
		{"missing size", `"hidden_size":896,`, ``, ErrInvalid, "hidden_size is missing"},
		{"key of another case", `"hidden_size"`, `"Hidden_Size"`, ErrInvalid, "hidden_size is missing"},
		{"negative", `"vocab_size":151936`, `"vocab_size":-1`, ErrInvalid, "vocab_size: found -1"},
		{"zero layers", `"num_hidden_layers":2`, `"num_hidden_layers":0`, ErrInvalid, "num_hidden_layers: found 0"},
		{"absurd", `"hidden_size":896`, `"hidden_size":1000000000000`, ErrInvalid, "hidden_size: found 1000000000000"},
		{"fraction", `"hidden_size":896`, `"hidden_size":896.5`, ErrInvalid, "want an integer"},
		{"text for a number", `"hidden_size":896`, `"hidden_size":"896"`, ErrInvalid, "want an integer"},
		{"heads don't divide", `"num_attention_heads":14`, `"num_attention_heads":12`, ErrInvalid, "isn't a multiple of num_attention_heads 12"},
		{"KV heads don't divide", `"num_key_value_heads":2`, `"num_key_value_heads":4`, ErrInvalid, "isn't a multiple of num_key_value_heads 4"},
		{"more KV heads than heads", `"num_key_value_heads":2`, `"num_key_value_heads":28`, ErrInvalid, "from 1 to 14"},
		{"odd head", `"use_cache":true`, `"head_dim":63`, ErrInvalid, "even"},
		{"NaN", `1e-06`, `NaN`, ErrInvalid, "invalid character 'N'"},
		{"Infinity", `1000000.0`, `Infinity`, ErrInvalid, "invalid character 'I'"},
		{"a number beyond float64", `1000000.0`, `1e999`, ErrInvalid, "rope_theta: found 1e999, want a finite number"},
		{"theta zero", `1000000.0`, `0`, ErrInvalid, "rope_theta is 0"},
		{"eps negative", `1e-06`, `-1e-06`, ErrInvalid, "rms_norm_eps is -1e-06"},
		{"two thetas", `"use_cache":true`, `"rope_parameters":{"rope_theta":5.0}`, ErrInvalid, "rope_theta is 1e+06 at the top and 5"},
		{"two types", `"use_cache":true`, `"dtype":"float32"`, ErrInvalid, `torch_dtype is "bfloat16" and dtype is "float32"`},
		{"another type", `"bfloat16"`, `"float8_e4m3fn"`, ErrInvalid, "want bfloat16, float16 or float32"},
		{"tie is no boolean", `"tie_word_embeddings":true`, `"tie_word_embeddings":"yes"`, ErrInvalid, "want true or false"},
		{"end token outside", `"eos_token_id":151645`, `"eos_token_id":[151645,151936]`, ErrInvalid, "eos_token_id: found 151936"},
		{"another activation", `"silu"`, `"gelu"`, ErrUnsupported, `supported: "silu"`},
		{"sliding window", `"use_sliding_window":false`, `"use_sliding_window":true`, ErrUnsupported, "full attention"},
		{"quantised", `"use_cache":true`, `"quantization_config":{}`, ErrUnsupported, "quantization_config"},
		{"rope scaling", `"use_cache":true`, `"rope_scaling":{"type":"yarn","factor":4.0}`, ErrUnsupported, `"yarn"`},
		{"rope scaling, newer", `"rope_theta":1000000.0`, `"rope_parameters":{"rope_type":"yarn","rope_theta":1e6}`, ErrUnsupported, `"yarn"`},
		{"partial rotation", `"use_cache":true`, `"rope_parameters":{"partial_rotary_factor":0.5}`, ErrUnsupported, "partial_rotary_factor"},
		{"layer types", `"use_cache":true`, `"layer_types":["full_attention","sliding_attention"]`, ErrUnsupported, "layer_types[1]"},
		{"too few layer types", `"use_cache":true`, `"layer_types":["full_attention"]`, ErrInvalid, "1 entries for 2 layers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(hubConfig, c.old, c.new, 1)
			if text == hubConfig {
				t.Fatalf("%q isn't in the config", c.old)
			}
			_, err := parseConfig([]byte(text))
			checkError(t, err, c.kind, c.want)
		})
	}
}

func TestParseGeneration(t *testing.T) {
	c := Config{VocabSize: 100, BOS: -1, EOS: []int32{7}}
	got, err := parseGeneration([]byte(`{"bos_token_id":1,"eos_token_id":[2,3],"do_sample":true,"temperature":0.7,"top_p":0.8,"top_k":20,"repetition_penalty":1.1}`), &c)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Generation{DoSample: true, Temperature: 0.7, TopP: 0.8, TopK: 20}, got); diff != "" {
		t.Errorf("generation differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Config{VocabSize: 100, BOS: 1, EOS: []int32{2, 3}}, c); diff != "" {
		t.Errorf("config differs (-want +got):\n%s", diff)
	}
	if _, err := parseGeneration([]byte(`{}`), &c); err != nil || len(c.EOS) != 2 {
		t.Errorf("an empty file: error %v, end tokens %v; want them kept", err, c.EOS)
	}
	for text, want := range map[string]string{
		`{"eos_token_id":100}`: "from 0 to 99", `{"temperature":-1}`: "at least 0", `{"top_p":1.5}`: "from 0 to 1",
		`{"top_k":-1}`: "from 0", `{"do_sample":1}`: "true or false", `[`: "unexpected EOF",
	} {
		_, err := parseGeneration([]byte(text), &c)
		checkError(t, err, ErrInvalid, want)
	}
}

// FuzzConfig: what is accepted is inside the bounds that every size computed from
// it relies on.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(hubConfig))
	f.Add([]byte(v5Config))
	f.Add([]byte(`{"model_type":"qwen2","vocab_size":10,"hidden_size":8,"intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":2,"max_position_embeddings":8,"head_dim":6}`))
	f.Add([]byte(`{"weight_map":{"a":"b.safetensors"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := parseIndex(data); err != nil && !errors.Is(err, ErrInvalid) {
			t.Fatalf("index: error %v doesn't wrap ErrInvalid", err)
		}
		p, err := parseConfig(data)
		if err != nil {
			if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrUnsupported) {
				t.Fatalf("error %v wraps neither ErrInvalid nor ErrUnsupported", err)
			}
			return
		}
		c := p.Config
		if c.Heads%c.KVHeads != 0 || c.HeadDim%2 != 0 || c.HeadDim < 2 || c.VocabSize < 1 || c.MaxPositions < 1 {
			t.Fatalf("accepted %+v", c)
		}
		if !(c.RopeTheta > 1) || math.IsInf(c.RopeTheta, 0) || !(c.RMSNormEps > 0) || c.RMSNormEps > 1 {
			t.Fatalf("accepted theta %v, eps %v", c.RopeTheta, c.RMSNormEps)
		}
		for _, id := range append(c.EOS, max(c.BOS, 0)) {
			if id < 0 || int(id) >= c.VocabSize {
				t.Fatalf("accepted token %d of %d", id, c.VocabSize)
			}
		}
		elements := 0.0
		for _, x := range c.Tensors() {
			product := 1.0
			for _, d := range x.Shape {
				product *= float64(d)
			}
			if product < 1 || product != float64(Tensor{Shape: x.Shape}.Len()) {
				t.Fatalf("tensor %s of shape %v overflows", x.Name, x.Shape)
			}
			elements += product
		}
		if elements > 1<<53 {
			t.Fatalf("%g elements", elements)
		}
		if _, err := parseGeneration(data, &c); err != nil && !errors.Is(err, ErrInvalid) {
			t.Fatalf("generation: error %v doesn't wrap ErrInvalid", err)
		}
	})
}
