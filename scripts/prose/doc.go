// Command prose checks the language of this repository: its documents, the help
// of every command, and the comments and messages of the sources.
//
//	go run ./scripts/prose              errors alone, as `make lint` does
//	go run ./scripts/prose -warnings    warnings too
//	go run ./scripts/prose docs/failover.md pkg/lag
//
// The rules are files of vale's format in styles/, so that an editor with vale
// shows them while one writes (.vale.ini). vale itself is not built here: it needs
// cgo and the grammars of twenty languages, which takes minutes. This program reads
// the part of the format that the rules use: substitution, existence, occurrence.
//
// Code is not prose: fenced blocks, code spans, the targets of links, and indented
// lines of doc comments are left out.
package main
