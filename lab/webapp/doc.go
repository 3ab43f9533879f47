// Command webapp is what runs in the lab's containers, in two roles: "webapp
// app" writes down what it is sent and says so only when it is on the disk;
// "webapp proxy" stands for Traefik where the real one would take too long.
//
// It must not know the programs that are proven with it.
package main
