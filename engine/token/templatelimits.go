package token

import (
	"errors"
	"fmt"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/builtins/control_structures"
	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// The limits of one rendering. The Jinja library has none, so they are put into
// the parsed template: a node that counts at the head of every loop and macro
// body, and a check of every variable that is set.
const (
	maxSteps      = 200_000  // rounds of loops and calls of macros
	maxRange      = 100_000  // numbers of one range()
	maxValueBytes = 16 << 20 // text in one variable

	// Names that no template can spell.
	stateName  = " rendering"
	iterFilter = " iterable"
)

// rendering is the state of one Render.
type rendering struct {
	stepsLeft int
	depth     int                  // macros being called
	cause     error                // why it was ended on purpose
	order     map[uintptr][]string // names of dictionaries; see names
}

// end records why a rendering ends and returns it.
func (r *rendering) end(cause error) error {
	r.cause = cause
	return cause
}

func newRendering() *rendering {
	return &rendering{stepsLeft: maxSteps, order: map[uintptr][]string{}}
}

// stateOf gives the rendering that e belongs to.
func stateOf(e *exec.Evaluator) *rendering { return stateIn(e.Environment.Context) }

func stateIn(ctx *exec.Context) *rendering {
	value, _ := ctx.Get(stateName)
	return value.(*rendering)
}

// checkTokens refuses sources that the library would parse or run without bounds.
func checkTokens(source string, settings *config.Config) error {
	brackets, blocks := 0, 0
	previous := tokens.Data
	for s := tokens.LexAll(source, settings); ; s.Next() {
		t := s.Current()
		switch t.Type {
		case tokens.EOF:
			return nil
		case tokens.Error:
			return fmt.Errorf("line %d: %s", t.Line, t.Val)
		case tokens.LeftParenthesis, tokens.LeftBracket, tokens.LeftBrace:
			brackets++
		case tokens.RightParenthesis, tokens.RightBracket, tokens.RightBrace:
			brackets--
		case tokens.BlockBegin:
			brackets = 0
		case tokens.VariableBegin:
			brackets = 0
		case tokens.Name:
			if previous == tokens.BlockBegin {
				blocks += nesting(t.Val)
			}
		case tokens.Multiply, tokens.Power:
			return fmt.Errorf("line %d: %s is not supported in chat templates", t.Line, t.Val)
		}
		if brackets > maxDepth || blocks > maxDepth {
			return fmt.Errorf("line %d: nested deeper than %d", t.Line, maxDepth)
		}
		previous = t.Type
	}
}

// nesting says whether a block opens (1) or closes (-1) a body.
func nesting(block string) int {
	switch block {
	case "if", "for", "macro", "call", "filter", "with":
		return 1
	case "endif", "endfor", "endmacro", "endcall", "endfilter", "endwith":
		return -1
	}
	return 0
}

// step counts a round of a loop or the start of a macro, and how deep macros call
// each other.
type step struct {
	at     *tokens.Token
	deeper int // added to the depth of calls
}

func (s *step) Position() *tokens.Token { return s.at }
func (s *step) String() string          { return "step" }

// Execute implements the library's ControlStructure.
func (s *step) Execute(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
	state := stateIn(r.Environment.Context)
	state.stepsLeft--
	state.depth += s.deeper
	if state.stepsLeft < 0 {
		return state.end(fmt.Errorf("it took more than %d steps", maxSteps))
	}
	if state.depth > maxDepth {
		return state.end(fmt.Errorf("its macros call each other more than %d deep", maxDepth))
	}
	return nil
}

func (s *step) node() nodes.Node {
	return &nodes.ControlStructureBlock{Location: s.at, Name: s.String(), ControlStructure: s}
}

// builtin is the library's own parser of a block.
func builtin(name string, p, args *parser.Parser) (nodes.ControlStructure, error) {
	parse, ok := builtins.ControlStructures.Get(name)
	if !ok {
		return nil, fmt.Errorf("the Jinja library has no %q", name)
	}
	return parse(p, args)
}

// parseFor reads a loop and bounds it. Loops go over what Python would.
func parseFor(p, args *parser.Parser) (nodes.ControlStructure, error) {
	cs, err := builtin("for", p, args)
	if err != nil {
		return nil, err
	}
	loop, ok := cs.(*controlStructures.ForControlStructure)
	if !ok || loop.Recursive {
		return nil, errors.New("recursive loops are not supported in chat templates")
	}
	loop.ObjectEvaluator = &nodes.FilteredExpression{
		Expression: loop.ObjectEvaluator,
		Filters:    []*nodes.FilterCall{{Token: loop.BodyWrapper.Location, Name: iterFilter}},
	}
	count := &step{at: loop.BodyWrapper.Location}
	loop.BodyWrapper.Nodes = append([]nodes.Node{count.node()}, loop.BodyWrapper.Nodes...)
	return loop, nil
}

// parseMacro reads a macro and bounds its recursion.
func parseMacro(p, args *parser.Parser) (nodes.ControlStructure, error) {
	cs, err := builtin("macro", p, args)
	if err != nil {
		return nil, err
	}
	macro, ok := cs.(*controlStructures.MacroControlStructure)
	if !ok {
		return nil, errors.New("macros are not supported")
	}
	body := macro.Wrapper
	enter, leave := &step{at: body.Location, deeper: 1}, &step{at: body.Location, deeper: -1}
	body.Nodes = append(append([]nodes.Node{enter.node()}, body.Nodes...), leave.node())
	return macro, nil
}

// boundedSet is a set block that checks what it has set: text that doubles in
// every round of a loop would soon fill the memory.
type boundedSet struct {
	nodes.ControlStructure
	target string
}

// parseSet reads a set block.
func parseSet(p, args *parser.Parser) (nodes.ControlStructure, error) {
	target := ""
	if name := args.Current(tokens.Name); name != nil {
		target = name.Val
	}
	cs, err := builtin("set", p, args)
	if err != nil {
		return nil, err
	}
	return &boundedSet{ControlStructure: cs, target: target}, nil
}

// Execute implements the library's ControlStructure.
func (b *boundedSet) Execute(r *exec.Renderer, tag *nodes.ControlStructureBlock) error {
	cs, ok := b.ControlStructure.(exec.ControlStructure)
	if !ok {
		return errors.New("set blocks can't be executed")
	}
	if err := cs.Execute(r, tag); err != nil {
		return err
	}
	value, _ := r.Environment.Context.Get(b.target)
	if size := textBytes(value, 2); size > maxValueBytes {
		return stateIn(r.Environment.Context).end(fmt.Errorf("the variable %s holds more than %d bytes", b.target, maxValueBytes))
	}
	return nil
}

// textBytes adds up the text in a value and, down to a depth, in its members.
func textBytes(value any, depth int) int {
	switch v := value.(type) {
	case string:
		return len(v)
	case *exec.Value:
		return textBytes(v.Interface(), depth)
	case map[string]any: // a namespace
		total := 0
		for _, member := range v {
			if depth > 0 {
				total += textBytes(member, depth-1)
			}
		}
		return total
	case []any:
		total := 16 * len(v)
		for _, member := range v {
			if depth > 0 {
				total += textBytes(member, depth-1)
			}
		}
		return total
	}
	return 0
}
