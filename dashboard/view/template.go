package view

import (
	"embed"
	"html/template"
	"time"

	"github.com/paceline/paceline/dashboard/chart"
)

//go:embed templates/*.html
var templates embed.FS

// Templates parses the parts that served pages and reports share. The parts of a run
// take a *Run.
func Templates() (*template.Template, error) {
	return template.New("view").ParseFS(templates, "templates/*.html")
}

// When is a time ready to be shown: relative, or absolute where the page is a file
// that is read later.
type When struct{ Text, Stamp, ISO string }

// At makes a When relative to now.
func At(now, t time.Time) When {
	if t.IsZero() {
		return When{Text: Missing, Stamp: "time unknown"}
	}
	return When{Text: Ago(now, t), Stamp: Stamp(t), ISO: t.UTC().Format(time.RFC3339)}
}

// When is a time on the run's page.
func (r *Run) When(t time.Time) When {
	w := At(r.Now, t)
	if !r.Linked && !t.IsZero() {
		w.Text = Stamp(t)
	}
	return w
}

// ShortID is the run's id as it is written in headings.
func (r *Run) ShortID() string { return Short(r.Run.ID) }

// Where is branch and commit.
func (r *Run) Where() string {
	if r.Run.Commit == "" {
		return r.Run.Branch
	}
	return r.Run.Branch + "@" + Short(r.Run.Commit)
}

// Subject is what was measured, in words.
func (r *Run) Subject() string {
	if r.Report.Subject != "" {
		return r.Report.Subject
	}
	s := r.Run.Subject.Target + " · " + r.Run.Subject.Model
	if n := len(r.Rounds); n > 0 {
		if d := r.Rounds[n-1].Subject.DType; d != "" {
			s += " (" + d + ")"
		}
	}
	return s
}

// Drawing is a chart of a page.
type Drawing struct {
	ID, Title, Text string
	Option          template.JS // JSON, in which <, > and & are escaped
}

// draw makes the charts of the distributions.
func (r *Run) draw() error {
	if r.Samples == nil {
		return nil
	}
	for i, d := range r.Samples.Distributions() {
		option, err := chart.Histogram{Title: d.Title, Unit: d.Unit, Values: d.Values}.Option()
		if err != nil {
			return err
		}
		r.Charts = append(r.Charts, Drawing{ID: "dist-" + string(rune('a'+i%26)) + string(rune('a'+i/26)), Title: d.Title, Text: d.Text, Option: template.JS(option)})
	}
	return nil
}
