package data

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// loadKeys loads missing keys from their keylocations. A key that must be typed in
// fails its datasets.
func (w *work) loadKeys(ctx context.Context) error {
	locked := filter(w.inventory.replicated, func(d *dataset) bool { return d.keyNeeded && !w.hasFailed(d) })
	if len(locked) == 0 {
		return nil
	}
	locations, err := w.keyLocations(ctx, w.inventory, locked)
	if err != nil {
		w.warn("cannot list key locations: %v", err) // keys with a known location are loaded
	}
	roots := map[string]bool{}
	for _, d := range locked {
		if mustBeTyped(locations[d.keyRoot]) {
			w.fail(d, &KeyError{Name: d.name, Root: d.keyRoot})
			continue
		}
		roots[d.keyRoot] = true
	}
	return w.bestEffort(ctx, "load keys", len(roots), func(ctx context.Context) error {
		errs := map[string]error{}
		forEach(ctx, sorted(roots), func(ctx context.Context, root string) {
			err := w.zfs.LoadKey(ctx, root)
			w.mu.Lock()
			defer w.mu.Unlock()
			errs[root] = err
		})
		for _, d := range locked {
			if err := errs[d.keyRoot]; err != nil {
				w.fail(d, &KeyError{Name: d.name, Root: d.keyRoot, Cause: err})
			}
		}
		return nil
	})
}

// KeyError is an encrypted dataset whose key is not loaded.
type KeyError struct {
	Name  string
	Root  string // dataset that holds the key
	Cause error  // nil if it must be typed in
}

func (e *KeyError) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("dataset %s: %v", e.Name, e.Cause)
	}
	return fmt.Sprintf("dataset %s: key not loaded, it must be typed in", e.Name)
}

func (e *KeyError) Unwrap() error { return e.Cause }

// Hint says how to load the key.
func (e *KeyError) Hint() string {
	return fmt.Sprintf("zfs load-key %s; for unattended takeovers keep the key in a file on this node: zfs set keylocation=file:///PATH %s", e.Root, e.Root)
}

// keyLocations returns the keylocations of the datasets' encryption roots, by root.
// Only encryption roots have one, and a root may lie above the replicated datasets.
func (d *Data) keyLocations(ctx context.Context, h *inventory, locked []*dataset) (map[string]string, error) {
	locations := map[string]string{}
	var above []string
	for _, ds := range locked {
		if root := h.all[ds.keyRoot]; root != nil {
			locations[ds.keyRoot] = root.keyAt
		} else if _, asked := locations[ds.keyRoot]; !asked {
			locations[ds.keyRoot] = ""
			above = append(above, ds.keyRoot)
		}
	}
	if len(above) == 0 {
		return locations, nil
	}
	found, err := d.zfs.Properties(ctx, above, "keylocation")
	for _, root := range above {
		locations[root] = found[root]["keylocation"].Value
	}
	return locations, err
}

// mustBeTyped reports whether a keylocation names no place to load a key from.
func mustBeTyped(location string) bool {
	return location == "" || location == "prompt" || location == "none"
}

// keyTyped reports whether a takeover can't load a key unattended: it must be typed
// in, or its file is missing. A key on another machine is taken to be available.
func keyTyped(location string) bool {
	if file, local := strings.CutPrefix(location, "file://"); local {
		_, err := os.Stat(file)
		return err != nil
	}
	return mustBeTyped(location)
}
