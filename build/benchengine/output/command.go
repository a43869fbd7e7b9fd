package output

import (
	"fmt"
	"strconv"

	"github.com/paceline/paceline/build/benchengine/plan"
)

// Programs is where the measured programs and their models are. What is empty isn't there.
type Programs struct {
	Engine     string            // a native build of benchengine, whose -measure is our driver
	Models     map[string]string // folders by format: "bf16", and "w8", "w4", which are packed
	Plain      map[string]string // the same without their tokenizers, for Start
	Llama      string            // folder with llama-bench, llama-batched-bench and llama-server
	GGUF       map[string]string // files by format: "bf16", "q8_0", "q4_0"
	Candle     string            // candle-peer
	Python     string            // of the environment with transformers
	Script     string            // transformers_peer.py
	Threads    int
	Vocabulary int // size of the model's
}

// missing is a program or model that a task needs.
func missing(what, get string) error {
	return fmt.Errorf("%w: there is no %s; %s", ErrUnsupported, what, get)
}

// Command is how task t is run: a process that prints one figure and ends. For TTFT it is a
// server that listens on port of the loopback.
func (p Programs) Command(t plan.Task, port int) ([]string, error) {
	switch t.Program {
	case plan.Engine:
		return p.engine(t, port)
	case plan.LlamaCpp:
		return p.llama(t, port)
	case plan.Candle:
		if p.Candle == "" {
			return nil, missing("candle", "run 'make peers PEERS=candle'")
		}
		return []string{p.Candle, p.Models["bf16"], t.Format, strconv.Itoa(max(t.Prompt, 1)), strconv.Itoa(t.Decode)}, nil
	case plan.Transformers:
		if p.Python == "" {
			return nil, missing("transformers", "run 'make peers PEERS=transformers'")
		}
		return []string{p.Python, p.Script, p.Models["bf16"], t.Format, strconv.Itoa(p.Threads), strconv.Itoa(max(t.Prompt, 1)), strconv.Itoa(t.Decode)}, nil
	}
	return nil, fmt.Errorf("no program is called %q", t.Program)
}

func (p Programs) engine(t plan.Task, port int) ([]string, error) {
	folder := p.Models[t.Format]
	if t.Kind == plan.Start {
		folder = p.Plain[t.Format]
	}
	if folder == "" {
		return nil, missing(t.Format+" model", "name its folder, written by 'paceline model quantize', by -model-"+t.Format)
	}
	return []string{
		p.Engine, "-measure", string(t.Kind), "-folder", folder, "-compute", t.Compute,
		"-threads", strconv.Itoa(p.Threads), "-prompt", strconv.Itoa(t.Prompt), "-decode", strconv.Itoa(t.Decode),
		"-streams", strconv.Itoa(t.Streams), "-port", strconv.Itoa(port),
	}, nil
}

func (p Programs) llama(t plan.Task, port int) ([]string, error) {
	if p.Llama == "" {
		return nil, missing("llama.cpp", "run 'make peers PEERS=llama.cpp'")
	}
	file := p.GGUF[t.Format]
	if file == "" {
		return nil, missing(t.Format+" file for llama.cpp", "run 'build/peers.sh --gguf MODEL'")
	}
	threads := strconv.Itoa(p.Threads)
	bench := func(prompt, decode int) []string {
		return []string{p.Llama + "/llama-bench", "-m", file, "-p", strconv.Itoa(prompt), "-n", strconv.Itoa(decode), "-t", threads, "-r", "1", "-o", "json"}
	}
	switch t.Kind {
	case plan.Decode:
		return bench(0, t.Decode), nil
	case plan.Prefill:
		return bench(t.Prompt, 0), nil
	case plan.Streams:
		return []string{
			p.Llama + "/llama-batched-bench", "-m", file, "-c", strconv.Itoa(t.Streams * (t.Prompt + t.Decode)), "-b", "2048", "-ub", "512",
			"-npp", strconv.Itoa(t.Prompt), "-ntg", strconv.Itoa(t.Decode), "-npl", strconv.Itoa(t.Streams), "-t", threads, "--output-format", "jsonl",
		}, nil
	case plan.TTFT:
		return []string{
			p.Llama + "/llama-server", "-m", file, "--host", "127.0.0.1", "--port", strconv.Itoa(port), "-t", threads, "-c", "4096", "-np", "1",
		}, nil
	}
	return nil, fmt.Errorf("llama.cpp has no measurement of kind %q", t.Kind)
}
