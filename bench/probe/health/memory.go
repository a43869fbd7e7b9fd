package health

import "fmt"

// HalfBillionBytes is what a model of 0.5 billion parameters takes (Qwen2.5-0.5B):
// 494 M parameters of 2 bytes, and 12,288 bytes of KV cache for each of 32,768 tokens.
const HalfBillionBytes = 494e6*2 + 12288*32768

// Limits of memory and disk.
const (
	leastMemory = 256e6
	leastDisk   = 64e6
	littleDisk  = 1e9
)

func memory(h *Host) []Finding {
	a := h.AvailableBytes
	if a == nil {
		return nil
	}
	f := Finding{ID: "memory", Severity: OK, What: bytes(*a) + " of memory are free"}
	if h.MemoryBytes > 0 {
		f.What = fmt.Sprintf("%s of %s of memory are free", bytes(*a), bytes(h.MemoryBytes))
	}
	if h.LimitBytes != nil {
		f.Evidence = "the control group may use " + bytes(*h.LimitBytes)
	}
	switch {
	case *a < leastMemory:
		f.Severity = Disturbs
		f.Why = "even the small model that this program carries may be swapped or killed"
		f.Do = "free memory or raise the limit"
	case *a < HalfBillionBytes:
		f.Severity = Note
		f.Why = "a model of 0.5 billion parameters takes " + bytes(HalfBillionBytes)
		f.Do = "enough for the model that this program carries; free memory for larger ones"
	}
	return one(f)
}

func swap(h *Host) []Finding {
	n := h.Activity.Swapped
	if n != nil && *n > 0 {
		return one(Finding{
			ID: "swap", Severity: Disturbs, What: fmt.Sprintf("memory is being swapped: %d pages while it was watched", *n),
			Why: "a page of weights that comes back from disk takes a thousand times as long", Do: "free memory, or turn swap off", Command: "sudo swapoff -a",
		})
	}
	if h.SwapTotal == nil {
		return nil
	}
	if h.SwapUsed == nil || *h.SwapUsed == 0 {
		what := "no swap"
		if *h.SwapTotal > 0 {
			what = "swap is not in use"
		}
		return one(Finding{ID: "swap", Severity: OK, What: what})
	}
	f := Finding{
		ID: "swap", Severity: Note, What: fmt.Sprintf("%s of swap are in use", bytes(*h.SwapUsed)),
		Why: "memory was short before; weights that are swapped out are read from disk in the middle of a round", Do: "turn swap off while measuring, where memory suffices", Command: "sudo swapoff -a",
	}
	if h.Swappiness != nil {
		f.Evidence = fmt.Sprintf("vm.swappiness is %d", *h.Swappiness)
	}
	return one(f)
}

func hugePages(h *Host) []Finding {
	switch h.HugePages {
	case "":
		return nil
	case "never":
		return one(Finding{
			ID: "hugepages", Severity: Note, What: "transparent huge pages are off",
			Why:     "weights lie in pages of 4 KiB, and reading them misses the TLB more; machines with and without them differ",
			Do:      "allow them where a program asks, as the engine does",
			Command: "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",
		})
	}
	return one(Finding{ID: "hugepages", Severity: OK, What: "transparent huge pages: " + h.HugePages})
}

func numa(h *Host) []Finding {
	if h.NUMANodes == 0 {
		return nil
	}
	if h.NUMANodes == 1 {
		return one(Finding{ID: "numa", Severity: OK, What: "one memory node"})
	}
	f := Finding{
		ID: "numa", Severity: Note, What: fmt.Sprintf("%d memory nodes", h.NUMANodes),
		Why: "weights may lie on another node than the threads that read them, differently at each start",
		Do:  "keep a measurement on one node", Command: "numactl --cpunodebind=0 --membind=0 paceline run ci",
	}
	if h.Balancing != nil && *h.Balancing {
		f.Evidence = "the kernel also moves memory between them (kernel.numa_balancing is 1)"
	}
	return one(f)
}

func disk(h *Host) []Finding {
	d := h.Disk
	if d == nil {
		return nil
	}
	f := Finding{ID: "disk", Severity: OK, What: fmt.Sprintf("%s free for results at %s", bytes(d.FreeBytes), d.Path)}
	switch {
	case d.Problem != "":
		f.Severity, f.What = Blocks, fmt.Sprintf("results can't be written at %s: %s", d.Path, d.Problem)
		f.Why, f.Do = "a result that can't be kept can't be compared", "name another folder with --data DIR"
	case d.FreeBytes < leastDisk:
		f.Severity = Blocks
		f.Why, f.Do = "a run and its samples would not fit", "free disk space, or name another folder with --data DIR"
	case d.FreeBytes < littleDisk:
		f.Severity = Note
		f.Why, f.Do = "it lasts for a few hundred runs", "free disk space, or name another folder with --data DIR"
	}
	return one(f)
}
