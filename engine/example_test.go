//go:build native

package engine_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/model/robotstories"
	"github.com/paceline/paceline/engine/token"
)

// Text is generated in a few lines: open a model's folder, render the chat template,
// submit, read the stream.
func Example() {
	dir := shippedModel()
	defer os.RemoveAll(filepath.Dir(dir))

	ctx := context.Background()
	e, err := engine.Open(ctx, engine.Options{ModelDir: dir})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	t, err := e.Tokenizer()
	if err != nil {
		log.Fatal(err)
	}
	prompt, err := t.Chat(token.Conversation{
		Messages:            []token.Message{{Role: "user", Content: "Write a short story about a robot."}},
		AddGenerationPrompt: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	ids, err := t.Encode(prompt, false)
	if err != nil {
		log.Fatal(err)
	}
	stream, err := e.Submit(ctx, engine.Request{Prompt: ids, MaxTokens: 24})
	if err != nil {
		log.Fatal(err)
	}
	for event := range stream.Events() {
		fmt.Print(event.Text)
	}
	// Output:
	// Once upon a time, a robot named Tin with a bent antenna lived in a museum of machines. Tin had one great
}

// shippedModel unpacks the small model that comes with Paceline.
func shippedModel() string {
	dir, err := os.MkdirTemp("", "paceline-example-*")
	if err != nil {
		log.Fatal(err)
	}
	if err := robotstories.Extract(filepath.Join(dir, "model")); err != nil {
		log.Fatal(err)
	}
	return filepath.Join(dir, "model")
}
