// Package report renders a run's page as one HTML file that opens from a disk: style,
// scripts, ECharts and data stand inside it, and it asks no host for anything.
//
// What the page says is dashboard/view's, as on the served page. The file's own
// Content-Security-Policy allows its scripts and style by their digests and nothing
// else.
package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/dashboard/assets"
	"github.com/paceline/paceline/dashboard/view"
	"github.com/paceline/paceline/judge/format"
)

// Input is what a report is made of.
type Input struct {
	Document *result.Document
	Report   *format.Report // nil: the document's own verdict
	// Samples calls f with every sample until f fails, and gives that error, which may be
	// wrapped; nil: there are none.
	Samples  func(f func(result.Sample) error) error
	Baseline *result.Round // the baseline's last round, for the difference of environments; nil: unknown
	Log      []string      // lines of the workers
	Now      time.Time
	Version  string // of this program
}

const body = `{{define "file"}}<body>
<header><nav><span class="name">Paceline</span><span class="dim">report of a run, made {{.Made}} by paceline {{.Version}}</span><span class="right"><button id="theme" class="plain" type="button" aria-label="switch between light and dark">◐</button></span></nav></header>
<main id="main">{{template "runbody" .Run}}{{template "runmetrics" .Run}}{{template "runwhy" .Run}}{{template "runrounds" .Run}}{{template "runrest" .Run}}</main>
<footer>one file: it asks no host for anything</footer>
{{end}}`

// Render writes the report. Nothing is written where it fails before the first byte.
func Render(w io.Writer, in Input) error {
	run, set, err := build(in)
	if err != nil {
		return fmt.Errorf("make the report of a run: %w", err)
	}
	t, err := view.Templates()
	if err != nil {
		return fmt.Errorf("make the report of a run: %w", err)
	}
	if t, err = t.Parse(body); err != nil {
		return fmt.Errorf("make the report of a run: %w", err)
	}
	var page bytes.Buffer
	if err := t.ExecuteTemplate(&page, "file", struct {
		Run           *view.Run
		Made, Version string
	}{run, view.Stamp(in.Now), in.Version}); err != nil {
		return fmt.Errorf("make the report of a run: %w", err)
	}
	style := set.Text("style.css")
	scripts := []string{}
	if run.Drawn && len(run.Charts) > 0 {
		scripts = append(scripts, inline(set.Text("echarts.min.js")))
	}
	scripts = append(scripts, inline(set.Text("app.js")))
	var hashes []string
	for _, s := range scripts {
		hashes = append(hashes, digest(s))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"+
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src %s; style-src %s; img-src data:; base-uri 'none'; form-action 'none'\">\n"+
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>%s</title><link rel=\"icon\" href=\"data:,\">\n<style>%s</style></head>\n",
		strings.Join(hashes, " "), digest(style), template.HTMLEscapeString("Run "+run.ShortID()+" "+run.Mark.Word+" · Paceline"), style)
	b.Write(page.Bytes())
	for _, s := range scripts {
		fmt.Fprintf(&b, "<script>%s</script>\n", s)
	}
	b.WriteString("</body></html>\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write the report of run %s: %w", in.Document.Run.ID, err)
	}
	return nil
}

func build(in Input) (*view.Run, *assets.Set, error) {
	if in.Document == nil {
		return nil, nil, errors.New("there is no result document")
	}
	set, err := assets.Load()
	if err != nil {
		return nil, nil, err
	}
	src := view.Source{
		Run: in.Document.Run, State: "decided", Report: in.Report, Baseline: in.Baseline, Log: in.Log, Now: in.Now,
		Samples: &view.Samples{}, Drawn: set.Has("echarts.min.js"),
	}
	if src.Report == nil {
		if src.Report, err = view.FromDocument(in.Document.Verdict); err != nil {
			return nil, nil, err
		}
	}
	src.Exit, src.DecidedAt = src.Report.Overall.Exit, src.Report.Decided
	if src.Report.Overall.Kind == "" {
		src.State = "" // nobody judged it
	}
	for _, x := range in.Document.Rounds {
		src.Rounds = append(src.Rounds, view.Round{Round: x})
	}
	if in.Samples != nil {
		names := view.Names(src.Rounds)
		if err := in.Samples(func(x result.Sample) error { return src.Samples.Add(x, names) }); err != nil && !errors.Is(err, view.ErrEnough) {
			return nil, nil, err
		}
	}
	run, err := view.NewRun(src)
	return run, set, err
}

// inline makes a script safe to stand in a page: nothing in it may end its element.
func inline(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.ReplaceAll(s, "</script", `<\/script`)
}

// digest is a source expression of a policy.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
