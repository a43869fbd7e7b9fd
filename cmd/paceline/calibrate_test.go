//go:build native

package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// The client against servers of its own. No figure is asserted but what no machine can miss: nobody sees a token before
// it was written.
func TestCalibrate(t *testing.T) {
	o := paceline(t, "calibrate", "--streams", "3", "--json")
	var all []calibration
	if err := json.Unmarshal([]byte(o.stdout), &all); err != nil || len(all) != 2 {
		t.Fatalf("%v\n%.300s", err, o.stdout)
	}
	for i, c := range all {
		if c.Said.TTFTms < c.True.TTFTms || c.Said.Requests < 12 || c.Said.Errors != 0 || i == 0 && c.True.TTFTms < 50 {
			t.Errorf("%+v, in truth %+v", c, c.True)
		}
	}
	var b strings.Builder
	if err := printCalibrations(&b, all); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"STREAMS", "ADDED", "Against a server that answers at once, 32 streams:", "says little here"} {
		if !strings.Contains(b.String(), words) {
			t.Errorf("it doesn't say %q:\n%s", words, b.String())
		}
	}
	paceline(t, "calibrate", "--streams", "0").expect(t, exitRequest, "from 1 to 4096")
}
