// Package rejoin owns turning a former active node back into a standby:
//
//	rejoin.go       leads; rolls back what is preserved
//	inventory.go    asks the active node for its datasets
//	survey.go       finds the unreplicated changes
//	prepare.go      takes snapshots of them
//	place.go        finds the preserved copies' names and the room for them
//	preserve.go     preserves the changes
//	copies.go       lists and drops preserved copies; files.go lists changed files
//
// It must not send anything to another node, nor destroy anything that is not
// preserved. Only an operator's drop destroys a preserved copy.
package rejoin
