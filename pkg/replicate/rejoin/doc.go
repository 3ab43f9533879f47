// Package rejoin owns the way back of a former active node: it compares this node
// with the active one (inventory.go asks it, survey.go finds the unreplicated
// changes), prepares them (prepare.go), finds the place and the room (place.go),
// preserves them (preserve.go), and only then rolls the datasets back (rejoin.go).
// It also lists, shows and drops the preserved copies (copies.go, files.go).
//
// It must not send anything to another node, nor destroy anything that is not in a
// preserved copy; only an operator's drop destroys a copy itself.
package rejoin
