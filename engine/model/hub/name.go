package hub

import (
	"regexp"
	"strings"
)

// Name is a model of a hub.
type Name struct {
	Org      string // empty for the few old models that have none
	Repo     string
	Revision string // a branch, tag or commit; "main" where none was given
}

// The hub's own rules: a folder of the cache must be the name of one model only.
var (
	partPattern     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,95}$`)
	revisionPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}$`)
	commitPattern   = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// ParseName reads ORG/NAME or NAME, with @REVISION or without.
func ParseName(s string) (Name, error) {
	id, revision, given := strings.Cut(s, "@")
	if strings.Contains(id, "://") {
		return Name{}, refuse("%q is an address: give the model's name as ORG/NAME, such as Qwen/Qwen2.5-0.5B-Instruct, and the hub in HF_ENDPOINT", s)
	}
	n := Name{Revision: "main"}
	org, repo, two := strings.Cut(id, "/")
	if !two {
		org, repo = "", id
	}
	n.Org, n.Repo = org, repo
	if two && !goodPart(org) || !goodPart(repo) {
		return Name{}, refuse("%q is no name of a model: write ORG/NAME or ORG/NAME@REVISION, such as Qwen/Qwen2.5-0.5B-Instruct; names have letters, digits, single dots and hyphens, and _", s)
	}
	if !given {
		return n, nil
	}
	if !goodRevision(revision) {
		return Name{}, refuse("%q is no revision: give a branch, a tag or a commit behind the @, such as main or refs/pr/1", revision)
	}
	n.Revision = revision
	return n, nil
}

func goodPart(s string) bool {
	return partPattern.MatchString(s) && !strings.Contains(s, "..") && !strings.Contains(s, "--") &&
		!strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "-") && !strings.HasSuffix(s, ".git")
}

func goodRevision(s string) bool {
	if !revisionPattern.MatchString(s) {
		return false
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.Contains(part, "..") {
			return false
		}
	}
	return true
}

// ID is the name without its revision: ORG/NAME.
func (n Name) ID() string {
	if n.Org == "" {
		return n.Repo
	}
	return n.Org + "/" + n.Repo
}

// String is the name as ParseName reads it; the revision main isn't written.
func (n Name) String() string {
	if n.Revision == "main" {
		return n.ID()
	}
	return n.ID() + "@" + n.Revision
}

// folder is the name's folder in a cache.
func (n Name) folder() string { return "models--" + strings.ReplaceAll(n.ID(), "/", "--") }

// nameOf is the reverse of folder; ok is false for folders of anything else.
func nameOf(folder string) (n Name, ok bool) {
	id, ok := strings.CutPrefix(folder, "models--")
	if !ok {
		return Name{}, false
	}
	n, err := ParseName(strings.Replace(id, "--", "/", 1))
	return n, err == nil
}
