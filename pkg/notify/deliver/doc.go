// Package deliver sends messages to the channels, in parallel, so that a channel that
// fails or hangs delays no other. It is the only importer of shoutrrr, whose calls
// can't be cancelled: the process that calls Run must end soon after.
//
// It must not know which notices become messages.
package deliver
