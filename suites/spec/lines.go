package spec

import "fmt"

// Lines says where a workload stands in its document, from 1.
type Lines struct {
	Workload int
	Gates    []int // parallel to the workload's Gates
}

// ParseLines reads a suite as Parse does and says where its workloads and their gates
// stand, parallel to Workloads: for messages that point at a rule.
func ParseLines(name string, src []byte) (*Suite, []Lines, error) {
	s, r, err := parse(name, src)
	if err != nil {
		return nil, nil, err
	}
	out := make([]Lines, len(s.Workloads))
	for i, w := range s.Workloads {
		path := fmt.Sprintf("spec.workloads[%d]", i)
		out[i] = Lines{Workload: r.places[path].line, Gates: make([]int, len(w.Gates))}
		for j := range w.Gates {
			out[i].Gates[j] = r.places[fmt.Sprintf("%s.gates[%d]", path, j)].line
		}
	}
	return s, out, nil
}
