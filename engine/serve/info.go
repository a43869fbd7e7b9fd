package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/paceline/paceline/engine/token"
)

// writeJSON answers with a value. A client that has gone is no error of ours.
func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := encode(v)
	if err != nil { // only values of this package come here, and Options.Build
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// encode is json.Marshal with <, > and & as they are, and a line's end.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("write an answer: %w", err)
	}
	return b.Bytes(), nil
}

// modelCard is one entry of the list of models.
type modelCard struct {
	ID          string `json:"id"`
	Object      string `json:"object"`
	Created     int64  `json:"created"` // when the server began
	OwnedBy     string `json:"owned_by"`
	MaxModelLen int    `json:"max_model_len"` // positions of prompt and answer together
}

func (s *Server) card() modelCard {
	return modelCard{ID: s.o.Name, Object: "model", Created: s.created, OwnedBy: "paceline", MaxModelLen: s.context}
}

func (s *Server) models(w http.ResponseWriter, _ *http.Request) *failure {
	writeJSON(w, http.StatusOK, struct {
		Object string      `json:"object"`
		Data   []modelCard `json:"data"`
	}{"list", []modelCard{s.card()}})
	return nil
}

func (s *Server) model(w http.ResponseWriter, r *http.Request) *failure {
	if f := s.serves(r.PathValue("model")); f != nil {
		return f
	}
	writeJSON(w, http.StatusOK, s.card())
	return nil
}

// serves says whether this is the model here.
func (s *Server) serves(model string) *failure {
	if model == s.o.Name {
		return nil
	}
	return &failure{
		status: http.StatusNotFound, kind: typeRequest, param: "model", code: "model_not_found",
		message: fmt.Sprintf("no model %q here: this server has %q", shown([]byte(model)), s.o.Name),
	}
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) *failure {
	switch {
	case s.stopping.Load():
		return unavailable()
	case s.broken.Load():
		return &failure{status: http.StatusServiceUnavailable, kind: typeServer, code: "engine_fault", message: "the engine's backend broke: restart the server"}
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) *failure {
	writeJSON(w, http.StatusOK, s.o.Build)
	return nil
}

// tokenize gives the ids of a text, or of a conversation as the model gets it.
func (s *Server) tokenize(w http.ResponseWriter, r *http.Request) *failure {
	body, f := s.read(w, r)
	if f != nil {
		return f
	}
	q, f := decodeTokenize(body)
	if f != nil {
		return f
	}
	if f := s.enter(1); f != nil {
		return f
	}
	defer s.leave(1)
	ids, f := s.promptIDs(q)
	if f != nil {
		return f
	}
	writeJSON(w, http.StatusOK, struct {
		Count       int     `json:"count"`
		MaxModelLen int     `json:"max_model_len"`
		Tokens      []int32 `json:"tokens"`
	}{len(ids), s.context, ids})
	return nil
}

// decodeTokenize reads a request of /tokenize.
func decodeTokenize(body []byte) (asked, *failure) {
	o := parseObject(body)
	known := []string{"add_generation_prompt", "chat_template_kwargs", "messages", "model", "prompt"}
	for _, name := range o.names() {
		switch name {
		case "add_generation_prompt", "chat_template_kwargs", "messages", "model", "prompt":
		default:
			o.fail(unknown(name, known))
		}
	}
	q := asked{api: completionAPI, model: o.text("model")}
	switch {
	case o.has("prompt") && o.has("messages"), !o.has("prompt") && !o.has("messages"):
		o.fail(refuse("prompt", "give either prompt, a text, or messages"))
	case o.has("prompt"):
		q.prompt = o.text("prompt")
	default:
		q.api = chatAPI
		q.chat = token.Conversation{Messages: messages(o), AddGenerationPrompt: o.flag("add_generation_prompt", true)}
		o.read("chat_template_kwargs", &q.chat.Vars, "an object")
	}
	return q, o.failure
}
