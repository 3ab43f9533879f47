// Package deliver hands messages to the channels: each at its own pace, so that
// one that fails or hangs keeps nothing from the others. It is the only importer
// of shoutrrr, whose calls can't be ended: the process that calls Run is meant
// to end soon after.
package deliver
