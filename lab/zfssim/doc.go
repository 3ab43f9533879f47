// Command zfssim simulates the zfs and zpool programs of OpenZFS 2.3 for tests:
// argv[0] decides which of the two it is. README.md says what it models and where
// it differs from OpenZFS on purpose.
//
// The command is the edge of the process. The model runs in any process by
// command.Run: on this machine (package host) or in memory (package memory).
// It knows nothing of the project's programs.
package main
