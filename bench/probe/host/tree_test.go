package host

import (
	"testing"
	"testing/fstest"
)

func TestRSSPeakTree(t *testing.T) {
	status := func(kib string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("Name:\tx\nVmHWM:\t" + kib + " kB\n")}
	}
	stat := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	s := New(fstest.MapFS{
		"proc/10/status": status("100"), "proc/10/stat": stat("10 (server) S 1 10"),
		"proc/11/status": status("20"), "proc/11/stat": stat("11 (a) b) (c) S 10 10"),
		"proc/12/status": status("3"), "proc/12/stat": stat("12 (grand child) R 11 12"),
		"proc/13/stat":   stat("13 (just ended) Z 10 10"),
		"proc/14/status": status("5000"), "proc/14/stat": stat("14 (stranger) S 1 14"),
		"proc/uptime": stat("1 2"),
	})
	got, err := s.RSSPeakTree(10)
	if err != nil || got != 123<<10 {
		t.Errorf("%d bytes, %v; want %d", got, err, 123<<10)
	}
	if _, err := s.RSSPeakTree(99); err == nil {
		t.Error("a process that isn't there has memory")
	}
}
