// Package assets holds what the pages load: style, scripts and ECharts, all
// embedded and served from the program, so that no page asks another host.
//
// ECharts is put into dist by `make assets` and not committed: a program built
// without it works, and its pages say what is missing.
package assets

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed static
var static embed.FS

//go:embed dist
var dist embed.FS

// Set is the assets with their addresses.
type Set struct {
	files map[string]file // by address below the prefix
	names map[string]string
}

type file struct {
	body []byte
	kind string // Content-Type
}

// Prefix is where the handler is mounted.
const Prefix = "/assets/"

// Load reads the embedded files. Each gets an address with the digest of its
// contents, so that browsers may keep it for ever.
func Load() (*Set, error) {
	s := &Set{files: map[string]file{}, names: map[string]string{}}
	for dir, fsys := range map[string]embed.FS{"static": static, "dist": dist} {
		entries, err := fs.ReadDir(fsys, dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			name := e.Name()
			ext := path.Ext(name)
			if ext == ".md" {
				continue
			}
			body, err := fs.ReadFile(fsys, dir+"/"+name)
			if err != nil {
				return nil, err
			}
			sum := sha256.Sum256(body)
			addr := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
			kind := mime.TypeByExtension(ext)
			if ext == ".js" {
				kind = "text/javascript; charset=utf-8"
			}
			s.files[addr] = file{body, kind}
			s.names[name] = addr
		}
	}
	return s, nil
}

// Has says whether an asset of that name was embedded.
func (s *Set) Has(name string) bool { _, ok := s.names[name]; return ok }

// URL is the address of an asset; empty where it was not embedded.
func (s *Set) URL(name string) string {
	if addr, ok := s.names[name]; ok {
		return Prefix + addr
	}
	return ""
}

// Text is an asset's contents, for a report that is one file.
func (s *Set) Text(name string) string { return string(s.files[s.names[name]].body) }

// ServeHTTP serves the assets below Prefix.
func (s *Set) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := s.files[strings.TrimPrefix(r.URL.Path, Prefix)]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", f.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(f.body) // a reader that is gone misses nothing
}
