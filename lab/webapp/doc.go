// Command webapp is the program in the lab's containers. It has two roles.
// "webapp app" records what it receives and acknowledges it once it is on the
// disk. "webapp proxy" stands for Traefik where the real one would take too
// long.
//
// It must not know the programs under test.
package main
