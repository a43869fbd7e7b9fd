package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

type server struct {
	model *model
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/v1/models", func(w http.ResponseWriter, r *http.Request) {
		reply(w, map[string]any{"object": "list", "data": []any{map[string]any{"id": "teller", "object": "model", "owned_by": "example"}}})
	})
	mux.HandleFunc("/v1/chat/completions", s.chat)
	return mux
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

type chatRequest struct {
	Messages []struct {
		Content string `json:"content"`
	} `json:"messages"`
	MaxTokens int  `json:"max_tokens"`
	Stream    bool `json:"stream"`
}

func (s *server) chat(w http.ResponseWriter, r *http.Request) {
	var q chatRequest
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || len(q.Messages) == 0 {
		http.Error(w, `{"error": {"message": "send JSON with messages"}}`, http.StatusBadRequest)
		return
	}
	prompt := q.Messages[len(q.Messages)-1].Content
	usage := map[string]int{
		"prompt_tokens": len(strings.Fields(prompt)), "completion_tokens": q.MaxTokens, "total_tokens": len(strings.Fields(prompt)) + q.MaxTokens,
	}
	story := s.model.begin(prompt)
	if !q.Stream {
		var text strings.Builder
		for i := 0; i < q.MaxTokens; i++ {
			text.WriteString(story.tell() + " ")
		}
		reply(w, map[string]any{"object": "chat.completion", "model": "teller", "usage": usage, "choices": []any{
			map[string]any{"index": 0, "finish_reason": "length", "message": map[string]string{"role": "assistant", "content": text.String()}},
		}})
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for i := 0; i < q.MaxTokens; i++ {
		send(w, map[string]any{"object": "chat.completion.chunk", "model": "teller", "choices": []any{
			map[string]any{"index": 0, "delta": map[string]string{"content": story.tell() + " "}},
		}})
	}
	send(w, map[string]any{"object": "chat.completion.chunk", "model": "teller", "choices": []any{
		map[string]any{"index": 0, "delta": map[string]string{}, "finish_reason": "length"},
	}})
	send(w, map[string]any{"object": "chat.completion.chunk", "model": "teller", "choices": []any{}, "usage": usage})
	fmt.Fprint(w, "data: [DONE]\n\n")
}

// send writes one event and lets it go at once.
func send(w http.ResponseWriter, v any) {
	b, _ := json.Marshal(v) // maps of strings and numbers
	fmt.Fprintf(w, "data: %s\n\n", b)
	w.(http.Flusher).Flush()
}
