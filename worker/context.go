package worker

import (
	"fmt"

	"github.com/paceline/paceline/internal/wire"
	"github.com/paceline/paceline/suites/spec"
)

// contextRoom is how many positions a prompt may have beside what a cell generates,
// where the suite doesn't say how long its prompts are.
const contextRoom = 1024

// contextOf is how many positions the cells may need, so that a long context's KV
// cache isn't made for short requests; 0 (the model's limit) where the suite can't
// tell.
func contextOf(cells []spec.Cell) int {
	need := 0
	for _, c := range cells {
		if c.Data.Type == "dataset" {
			return 0
		}
		need = max(need, c.Request.MaxTokens+max(c.Data.ISL, contextRoom))
	}
	return need
}

// fits is the error of a cell whose requests are longer than the model's context
// whatever their text: nothing of it could be measured.
func fits(cells []spec.Cell, context int) error {
	for _, c := range cells {
		if least := max(c.Data.ISL, 1) + c.Request.MaxTokens - 1; least > context {
			return &wire.Error{Class: wire.ClassRequest, Message: fmt.Sprintf(
				"workload %s asks for %d tokens after at least %d of prompt, and the model's context has %d positions: shorten it, or measure another model",
				c.Workload, c.Request.MaxTokens, max(c.Data.ISL, 1), context)}
		}
	}
	return nil
}
