// Package hubtest is a model hub on the loopback for tests: the list of files, digests
// in headers, large files behind a redirect to another port, ranges, and whatever fault
// a test puts in. It knows the protocol and nothing of the client that is tested.
package hubtest

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Commit is what the branch main of every model here is at.
const Commit = "0123456789abcdef0123456789abcdef01234567"

// Request is one that was answered.
type Request struct {
	Method string
	Path   string
	Range  string
	Auth   string // the header Authorization
	CDN    bool   // it went to the other port
}

// Server is a hub with one model.
type Server struct {
	URL string

	model string
	files map[string][]byte
	cdn   *httptest.Server

	mu       sync.Mutex
	requests []Request
	fault    func(w http.ResponseWriter, r *http.Request) bool
}

// Start serves a model of that name until the test ends.
func Start(t *testing.T, model string, files map[string][]byte) *Server {
	t.Helper()
	s := &Server{model: model, files: files}
	hub := httptest.NewServer(s.handler(false))
	s.cdn = httptest.NewServer(s.handler(true))
	s.URL = hub.URL
	t.Cleanup(func() {
		for _, x := range []*httptest.Server{hub, s.cdn} {
			x.CloseClientConnections()
			x.Close()
		}
	})
	return s
}

// Fault lets f see every request before it is answered; where f returns true it has
// answered. nil ends that.
func (s *Server) Fault(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Requests are those so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Host is the hub's address without its scheme; CDNHost that of the other port.
func (s *Server) Host() string    { return strings.TrimPrefix(s.URL, "http://") }
func (s *Server) CDNHost() string { return strings.TrimPrefix(s.cdn.URL, "http://") }

// ETag is the digest under which a file is known: SHA-256 for large files, else git's.
func (s *Server) ETag(name string) string {
	data := s.files[name]
	if large(name) {
		sum := sha256.Sum256(data)
		return hex.EncodeToString(sum[:])
	}
	sum := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(data)), data...))
	return hex.EncodeToString(sum[:])
}

// large says which files lie on the CDN.
func large(name string) bool {
	return strings.HasSuffix(name, ".safetensors") || name == "tokenizer.json"
}

func (s *Server) handler(cdn bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, Request{r.Method, r.URL.Path, r.Header.Get("Range"), r.Header.Get("Authorization"), cdn})
		fault := s.fault
		s.mu.Unlock()
		if fault != nil && fault(w, r) {
			return
		}
		if cdn {
			s.content(w, r, r.URL.Query().Get("file"))
			return
		}
		s.answer(w, r)
	}
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	if at, ok := strings.CutPrefix(r.URL.EscapedPath(), "/api/models/"+s.model+"/revision/"); ok {
		if at != "main" && at != Commit && at != "refs%2Fpr%2F1" {
			w.Header().Set("X-Error-Code", "RevisionNotFound")
			http.Error(w, "no revision", http.StatusNotFound)
			return
		}
		s.list(w)
		return
	}
	name, ok := strings.CutPrefix(strings.Replace(r.URL.Path, "/resolve/main/", "/resolve/"+Commit+"/", 1), "/"+s.model+"/resolve/"+Commit+"/")
	if _, there := s.files[name]; !ok || !there {
		w.Header().Set("X-Error-Code", "RepoNotFound")
		http.Error(w, "Repository Not Found", http.StatusUnauthorized)
		return
	}
	w.Header().Set("X-Repo-Commit", Commit)
	if !large(name) {
		w.Header().Set("ETag", `"`+s.ETag(name)+`"`)
		s.content(w, r, name)
		return
	}
	w.Header().Set("X-Linked-Etag", `"`+s.ETag(name)+`"`)
	w.Header().Set("X-Linked-Size", fmt.Sprint(len(s.files[name])))
	http.Redirect(w, r, s.cdn.URL+"/"+s.ETag(name)+"?file="+url.QueryEscape(name), http.StatusFound)
}

func (s *Server) list(w http.ResponseWriter) {
	type sibling struct {
		Name string `json:"rfilename"`
	}
	answer := struct {
		ID       string    `json:"id"`
		SHA      string    `json:"sha"`
		Siblings []sibling `json:"siblings"`
	}{s.model, Commit, nil}
	for name := range s.files {
		answer.Siblings = append(answer.Siblings, sibling{name})
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(answer) // a client that is gone
}

func (s *Server) content(w http.ResponseWriter, r *http.Request, name string) {
	data, ok := s.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, path.Base(name), time.Time{}, bytes.NewReader(data))
}

// Cut answers a request for a file with so many bytes of it and then breaks the
// connection.
func Cut(w http.ResponseWriter, data []byte, n int) {
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	_, _ = w.Write(data[:n])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}
