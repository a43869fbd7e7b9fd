// Package model reads checkpoints of language models.
package model
