package gate

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// limitText names the limit in words: "a drop of 20 %", "at least 4 tok/s".
func (r Rule) limitText() string {
	switch {
	case r.MaxDrop != nil:
		return "a drop of " + percent(*r.MaxDrop)
	case r.MaxRise != nil:
		return "a rise of " + percent(*r.MaxRise)
	case r.MaxRatio != nil:
		return fmt.Sprintf("%s × the baseline", number(*r.MaxRatio))
	case r.Min != nil:
		return "at least " + r.unit(*r.Min)
	default:
		return "at most " + r.unit(*r.Max)
	}
}

// Limit names the rule's limit in words.
func (r Rule) Limit() string { return r.limitText() }

func (r Rule) unit(v float64) string { return Figure(v, r.unitName()) }

func (r Rule) unitName() string {
	def, _ := r.def()
	return def.Unit
}

func (v *Verdict) figure(x float64) string { return v.Rule.unit(x) }

// changeText is the signed change with better or worse in words.
func (v *Verdict) changeText() string { return ChangeText(v.Change, v.Rule.HigherIsBetter()) }

// ChangeText writes a change with its sign and what it means: "−23.4 % worse".
func ChangeText(change float64, higherIsBetter bool) string {
	word := "worse"
	switch {
	case math.Abs(change) < 0.0005:
		return "±0.0 %"
	case (change > 0) == higherIsBetter:
		word = "better"
	}
	return percentSigned(change) + " " + word
}

// Figure writes a value with its unit, in at least three digits: "41.3 tok/s". Shares are
// percentages, bytes have a power of 1000.
func Figure(v float64, unit string) string {
	switch unit {
	case "", "ratio":
		return number(v)
	case "1":
		return percent(v)
	case "B":
		for _, u := range []string{"B", "kB", "MB", "GB", "TB"} {
			if math.Abs(v) < 1000 || u == "TB" {
				return number(v) + " " + u
			}
			v /= 1000
		}
	}
	return number(v) + " " + unit
}

// number has at least three significant digits and no exponent.
func number(v float64) string {
	a := math.Abs(v)
	digits := 0
	switch {
	case a == math.Trunc(a) && a < 1e15:
	case a < 1:
		digits = 3
	case a < 10:
		digits = 2
	case a < 100:
		digits = 1
	}
	s := strconv.FormatFloat(v, 'f', digits, 64)
	whole, frac, found := strings.Cut(s, ".")
	if found {
		frac = "." + frac
	}
	return thousands(whole) + frac
}

// thousands puts commas between groups of three digits.
func thousands(s string) string {
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

func percent(share float64) string {
	s := strconv.FormatFloat(100*share, 'f', 1, 64)
	if len(s) > 2 && s[len(s)-2:] == ".0" {
		s = s[:len(s)-2]
	}
	return s + " %"
}

func percentSigned(share float64) string {
	sign := "+"
	if share < 0 {
		sign = "−"
	}
	return sign + strconv.FormatFloat(math.Abs(100*share), 'f', 1, 64) + " %"
}

func rounds(n int) string {
	if n == 1 {
		return "1 round"
	}
	return strconv.Itoa(n) + " rounds"
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
