package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"

	"github.com/paceline/paceline/build/benchengine/output"
)

// play is one of the measured programs, as far as benchengine sees it. Peers are as fast
// as 100 says, the engine as 120.
func play(part string, args []string) int {
	flags := map[string]string{}
	for i := 1; i+1 < len(args); i++ {
		flags[args[i]] = args[i+1]
	}
	number := func(name string) int {
		n, _ := strconv.Atoi(flags[name])
		return n
	}
	switch part {
	case "engine":
		switch {
		case flags["-measure"] == "ttft":
			return playServer(flags["-port"])
		case flags["-folder"] == "no-w4":
			return line(output.Measured{Unsupported: "no W4 here"})
		case flags["-measure"] == "start":
			fmt.Println("{}")
		}
		return line(output.Measured{Value: 120, BytesPerToken: 0.25e9, NeededBytes: 1e8, Note: "played"})
	case "llama-bench":
		return line([]map[string]any{{"n_prompt": number("-p"), "n_gen": number("-n"), "avg_ts": 100}})
	case "llama-batched-bench":
		fmt.Println("main: n_kv_max = 1")
		return line(map[string]any{"pl": number("-npl"), "tg": number("-ntg"), "speed_tg": 100})
	case "llama-server":
		return playServer(flags["--port"])
	case "rates": // candle: MODEL TYPE PROMPT DECODE; transformers: SCRIPT MODEL TYPE THREADS PROMPT DECODE
		prompt, _ := strconv.Atoi(args[len(args)-2])
		decode, _ := strconv.Atoi(args[len(args)-1])
		fmt.Println("a library says something first")
		return line(map[string]any{"prompt_tokens": prompt, "decode_tokens": decode, "prefill_tok_per_s": 100, "decode_tok_per_s": 100})
	case "crash":
		fmt.Fprintln(os.Stderr, "out of luck")
		return 3
	}
	fmt.Fprintln(os.Stderr, "nobody plays", part)
	return 2
}

// playServer answers as both servers do.
func playServer(port string) int {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /v1/completions", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: [DONE]\n\n")
	})
	fmt.Fprintln(os.Stderr, http.ListenAndServe("127.0.0.1:"+port, mux))
	return 1
}

func line(v any) int {
	if json.NewEncoder(os.Stdout).Encode(v) != nil {
		return 1
	}
	return 0
}
