package hub

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Limits of what a hub may answer, well above what is published.
const (
	maxListing = 32 << 20 // bytes of a list of files
	maxNames   = 100_000
	maxWeights = 1 << 40   // bytes of one file of weights
	maxSmall   = 128 << 20 // bytes of any other; tokenizers are the largest
)

// File names that the engine reads.
const (
	configFile  = "config.json"
	weightsFile = "model.safetensors"
	indexFile   = "model.safetensors.index.json"
)

// listing is what a repository holds at one commit.
type listing struct {
	commit string
	files  []string
}

// parseListing reads the answer to /api/models/ORG/NAME/revision/REV.
func parseListing(data []byte) (listing, error) {
	var in struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Name string `json:"rfilename"`
		} `json:"siblings"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return listing{}, err
	}
	if !commitPattern.MatchString(in.SHA) {
		return listing{}, fmt.Errorf("its commit is %.60q, want 40 hexadecimal digits", in.SHA)
	}
	if len(in.Siblings) > maxNames {
		return listing{}, fmt.Errorf("it names %d files, the limit is %d", len(in.Siblings), maxNames)
	}
	l := listing{commit: in.SHA}
	for _, s := range in.Siblings {
		if !localName(s.Name) {
			return listing{}, fmt.Errorf("it names a file %.80q, which leads out of the model's folder", s.Name)
		}
		l.files = append(l.files, s.Name)
	}
	return l, nil
}

// localName says whether a name from a server stays in its folder on every system.
func localName(s string) bool {
	return s != "" && s != "." && s == path.Clean(s) && !path.IsAbs(s) && s != ".." && !strings.HasPrefix(s, "../") &&
		!strings.ContainsAny(s, "\\:\x00")
}

func (l listing) has(name string) bool { return slices.Contains(l.files, name) }

// small are the files beside the weights, with the index of shards where it is needed.
func (l listing) small() []string {
	var out []string
	for _, name := range []string{configFile, "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"} {
		if l.has(name) {
			out = append(out, name)
		}
	}
	if !l.has(weightsFile) && l.has(indexFile) {
		out = append(out, indexFile)
	}
	return out
}

// check refuses a repository that holds no model for the engine.
func (l listing) check() error {
	switch {
	case !l.has(configFile):
		return fmt.Errorf("it has no %s: it is no model of the kind that the engine reads", configFile)
	case l.has(weightsFile), l.has(indexFile):
		return nil
	}
	var others []string
	for _, f := range l.files {
		switch path.Ext(f) {
		case ".bin", ".pt", ".pth", ".gguf", ".safetensors", ".onnx":
			others = append(others, f)
		}
	}
	if len(others) == 0 {
		return fmt.Errorf("it holds no weights")
	}
	return fmt.Errorf("it has neither %s nor %s, but %s: take a repository of the model with safetensors", weightsFile, indexFile, strings.Join(others[:min(3, len(others))], ", "))
}

// remote is a file as the hub describes it.
type remote struct {
	name string
	etag string // SHA-256 in hex of the contents, or SHA-1 of them as a git blob
	size int64
}

var digestPattern = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// describe reads the headers of the answers to HEAD /ORG/NAME/resolve/SHA/FILE, the
// last one first. LFS files have their digest in X-Linked-Etag, wherever the answer
// leads to.
func describe(name, commit string, answers []http.Header) (remote, error) {
	get := func(key string) string {
		for _, h := range answers {
			if v := h.Get(key); v != "" {
				return v
			}
		}
		return ""
	}
	if got := get("X-Repo-Commit"); got != "" && got != commit {
		return remote{}, fmt.Errorf("it comes from commit %.60q, asked for %s", got, commit)
	}
	etag, length := get("X-Linked-Etag"), get("X-Linked-Size")
	if etag == "" {
		etag = get("ETag")
	}
	if length == "" && len(answers) > 0 {
		length = answers[0].Get("Content-Length")
	}
	f := remote{name: name, etag: strings.Trim(strings.TrimPrefix(etag, "W/"), `"`)}
	if !digestPattern.MatchString(f.etag) {
		return remote{}, fmt.Errorf("its ETag is %.80q, no SHA-256 and no SHA-1 of a git blob: nothing could prove the file", etag)
	}
	limit := int64(maxSmall)
	if strings.HasSuffix(name, ".safetensors") {
		limit = maxWeights
	}
	var err error
	if f.size, err = strconv.ParseInt(length, 10, 64); err != nil || f.size < 0 || f.size > limit {
		return remote{}, fmt.Errorf("its size is %.40q, want a number from 0 to %d", length, limit)
	}
	return f, nil
}

// rangeStart reads a Content-Range of a file of so many bytes: where the body begins.
func rangeStart(s string, size int64) (int64, error) {
	var from, to, total int64
	if n, err := fmt.Sscanf(s, "bytes %d-%d/%d", &from, &to, &total); n != 3 || err != nil || from < 0 || from > to || total != size {
		return 0, fmt.Errorf("its Content-Range is %.80q, want bytes of %d", s, size)
	}
	return from, nil
}

// isPage says whether an answer is a web page, as login pages of proxies are.
func isPage(h http.Header) bool {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return kind == "text/html"
}
