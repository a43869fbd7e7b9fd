package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/paceline/paceline/judge/format"
	"github.com/paceline/paceline/suites/spec"
)

// githubJob is where a step of a GitHub job says what it found. It is empty outside
// of one.
type githubJob struct {
	on        bool
	summary   string // file that Markdown is appended to; empty: none
	outputs   string // file that step outputs are appended to; empty: none
	workspace string // root of the repository
}

func githubFrom(getenv func(string) string) githubJob {
	if getenv("GITHUB_ACTIONS") != "true" {
		return githubJob{}
	}
	return githubJob{on: true, summary: getenv("GITHUB_STEP_SUMMARY"), outputs: getenv("GITHUB_OUTPUT"), workspace: getenv("GITHUB_WORKSPACE")}
}

// tell writes annotations to w, which is a stream of the step, and appends to the
// summary and the outputs. What fails here is told and doesn't change what the
// command ends with: nobody asked for it by a flag.
func (j githubJob) tell(w io.Writer, rep *format.Report, as []format.Annotation) {
	if !j.on {
		return
	}
	if _, err := w.Write(format.Commands(as)); err != nil {
		fmt.Fprintf(w, "paceline: annotations not written: %v\n", err)
	}
	if err := j.addSummary(rep); err != nil {
		fmt.Fprintf(w, "paceline: the job's summary is not written: %v\n", err)
	}
	if err := j.addOutputs(rep); err != nil {
		fmt.Fprintf(w, "paceline: the step's outputs are not set: %v\n", err)
	}
}

// addSummary appends to what the step has said already: GitHub drops a summary that is
// too large as a whole.
func (j githubJob) addSummary(rep *format.Report) error {
	if j.summary == "" {
		return nil
	}
	var b bytes.Buffer
	room := format.SummaryLimit - 1
	if st, err := os.Stat(j.summary); err == nil && st.Size() > 0 {
		b.WriteByte('\n')
		room = format.SummaryLimit - int(min(st.Size(), format.SummaryLimit)) - 1
	}
	if room < format.MinLimit {
		return fmt.Errorf("%s is nearly full: GitHub takes %d bytes a step", j.summary, format.SummaryLimit)
	}
	if err := format.Write(&b, "markdown", rep, format.Options{Limit: room}); err != nil {
		return err
	}
	return appendTo(j.summary, b.Bytes())
}

func (j githubJob) addOutputs(rep *format.Report) error {
	if j.outputs == "" {
		return nil
	}
	b, err := format.Outputs(rep, "paceline-"+rand.Text())
	if err != nil {
		return err
	}
	return appendTo(j.outputs, b)
}

func appendTo(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

// repositoryPath is a file's path from the root of the repository that it lies in, with
// slashes, or empty. The root is the job's, else the nearest folder with a .git.
func (j githubJob) repositoryPath(path string) string {
	if st, err := os.Stat(path); err != nil || !st.Mode().IsRegular() {
		return ""
	}
	file, err := targetOf(path)
	if err != nil {
		return ""
	}
	root := j.workspace
	for dir := filepath.Dir(file); root == "" && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			root = dir
		}
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return ""
	}
	rel, err := filepath.Rel(root, file)
	if err != nil || !filepath.IsLocal(rel) {
		return ""
	}
	return filepath.ToSlash(rel)
}

// annotations are the report's, or those of a suite that can't be read, each at its
// line.
func (j githubJob) annotations(rep *format.Report, cause error) []format.Annotation {
	var problems spec.Problems
	if !errors.As(cause, &problems) {
		return format.Annotations(rep)
	}
	var as []format.Annotation
	for _, p := range problems {
		a := format.Annotation{Level: "error", File: j.repositoryPath(p.File), Title: "paceline: the suite can't be read", Text: p.String()}
		if a.File != "" {
			a.Line, a.Col = p.Line, p.Col
			a.Text = strings.TrimPrefix(a.Text, fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Col))
		}
		as = append(as, a)
	}
	return as
}
