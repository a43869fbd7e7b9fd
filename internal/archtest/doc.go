// Package archtest holds the rules of the project's structure as tests: who may
// reach whom, which outside module enters where, how large an interface is, and
// what a package may not contain. Each rule has its reason, and each is shown
// a planted violation that it must report.
//
// It has no code for users; ARCHITECTURE.md describes what these tests enforce.
package archtest
