package proc

import (
	"fmt"
	"net"
)

// FreePort asks the kernel for a port of the loopback. Another program may take it before a
// child does; then the child says so.
func FreePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}
