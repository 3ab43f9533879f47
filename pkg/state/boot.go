package state

import (
	"fmt"
	"os"
	"strings"
)

// BootID returns the kernel's id of this boot: random(4), boot_id.
func BootID() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the id of this boot: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
