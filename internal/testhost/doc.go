// Package testhost owns what tests need of the machine that they run on: to be
// root, programs that are not everywhere, a mount namespace of their own.
//
// A test that can't have it is skipped, and says so; with UNDERSTUDY_NO_SKIP=1 in
// the environment, as CI has it, it fails.
package testhost
