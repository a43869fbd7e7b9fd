package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/paceline/paceline/internal/wire"
)

// display shows a run's progress: on a terminal two lines that are redrawn, else
// one line an event, without carriage returns.
type display struct {
	w        io.Writer
	terminal bool
	width    int // columns of the terminal

	mu     sync.Mutex // guards what follows
	drawn  int        // lines on the screen that belong to the display
	last   string     // event shown last, without its figures
	shown  time.Time
	ended  bool
	now    func() time.Time
	latest *wire.Progress
}

func newDisplay(w io.Writer, terminal bool, width int) *display {
	return &display{w: w, terminal: terminal, width: max(width, 40), now: time.Now}
}

// update shows where the run stands.
func (d *display) update(p wire.Progress) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return
	}
	d.latest = &p
	if d.terminal {
		if d.now().Sub(d.shown) < 80*time.Millisecond && p.Phase == d.last {
			return
		}
		d.shown, d.last = d.now(), p.Phase
		d.erase()
		d.draw(p)
		return
	}
	event := fmt.Sprintf("round %d of %d  %s  %s", p.Round, p.Rounds, workloadName(p), p.Phase)
	if event == d.last {
		return
	}
	d.last = event
	fmt.Fprintln(d.w, strings.TrimRight(event+rateOf(p), " "))
}

// line prints a line above the display.
func (d *display) line(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.erase()
	fmt.Fprintf(d.w, format+"\n", args...)
	if d.terminal && d.latest != nil && !d.ended {
		d.draw(*d.latest)
	}
}

// end takes the display off the screen.
func (d *display) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	d.erase()
}

func (d *display) erase() {
	if d.drawn > 0 {
		fmt.Fprintf(d.w, "\x1b[%dA\x1b[J", d.drawn)
		d.drawn = 0
	}
}

func (d *display) draw(p wire.Progress) {
	head := fmt.Sprintf(" round %d of %d · %s", p.Round, p.Rounds, p.Phase)
	if p.LeftSec > 0 {
		head += fmt.Sprintf(" · %s left", clock(p.LeftSec))
	}
	name := workloadName(p)
	bar := 24
	if room := d.width - len([]rune(name)) - 40; room < bar {
		bar = max(room, 8)
	}
	line := fmt.Sprintf("  %s  %s %3.0f %%%s", name, blocks(p.Done, bar), 100*p.Done, rateOf(p))
	fmt.Fprintf(d.w, "%s\n%s\n", cut(head, d.width), cut(line, d.width))
	d.drawn = 2
}

func workloadName(p wire.Progress) string {
	if p.Workload == "" {
		return p.Phase
	}
	name := p.Workload
	for axis, v := range p.Point {
		name += fmt.Sprintf(" %s=%s", axis, v)
	}
	return name
}

func rateOf(p wire.Progress) string {
	if p.Rate <= 0 {
		return ""
	}
	return fmt.Sprintf("  %.4g tok/s", p.Rate)
}

// blocks draws a share as a bar of so many columns.
func blocks(share float64, columns int) string {
	full := int(math.Round(min(max(share, 0), 1) * float64(columns)))
	return strings.Repeat("█", full) + strings.Repeat("░", columns-full)
}

// clock writes seconds as m:ss.
func clock(sec float64) string {
	s := int(math.Ceil(sec))
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// cut shortens a line to so many columns.
func cut(s string, columns int) string {
	if r := []rune(s); len(r) >= columns {
		return string(r[:columns-1])
	}
	return s
}
