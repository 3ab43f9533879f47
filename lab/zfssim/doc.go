// Command zfssim is a simulator of the zfs and zpool programs of OpenZFS 2.3
// for tests: argv[0] decides which of the two it is.
//
// It owns a store of folders below $ZFSSIM_ROOT and prints, for every command
// that the project calls, what OpenZFS prints: standard output, standard error
// and exit code. It knows nothing about the project. README.md beside this
// file says what it does and where it differs from OpenZFS on purpose.
package main
