package data

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// loadKeys loads what is not loaded, where the key lies on this machine.
func (w *work) loadKeys(ctx context.Context) error {
	locked := filter(w.holding.mine, func(d *dataset) bool { return d.keyNeeded && !w.bad(d) })
	if len(locked) == 0 {
		return nil
	}
	locations, err := w.keyLocations(ctx, w.holding, locked)
	if err != nil {
		w.warn("where keys lie: %v", err) // those that can be told are loaded
	}
	roots := map[string]bool{}
	for _, d := range locked {
		if mustBeTyped(locations[d.keyRoot]) {
			w.fail(d, &KeyError{Name: d.name, Root: d.keyRoot})
			continue
		}
		roots[d.keyRoot] = true
	}
	return w.soft(ctx, "load keys", len(roots), func(ctx context.Context) error {
		errs := map[string]error{}
		each(ctx, sorted(roots), func(ctx context.Context, root string) {
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
	Cause error  // nil: it must be typed in
}

func (e *KeyError) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("dataset %s: %v", e.Name, e.Cause)
	}
	return fmt.Sprintf("dataset %s: its key is not loaded, and must be typed in", e.Name)
}

func (e *KeyError) Unwrap() error { return e.Cause }

// Hint says how the key comes in.
func (e *KeyError) Hint() string {
	return fmt.Sprintf("zfs load-key %s; for a takeover without you keep the key in a file on this node: zfs set keylocation=file:///PATH %s", e.Root, e.Root)
}

// keyLocations are the keylocations of the datasets' encryption roots, by root. ZFS
// has them there alone, and a root may lie above what is replicated.
func (d *Data) keyLocations(ctx context.Context, h *holding, locked []*dataset) (map[string]string, error) {
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

// mustBeTyped reports whether a key is nowhere to be loaded from.
func mustBeTyped(location string) bool {
	return location == "" || location == "prompt" || location == "none"
}

// keyTyped reports whether a takeover can't load a key by itself: it must be typed in,
// or its file is not here. What lies on another machine is believed to be there.
func keyTyped(location string) bool {
	if file, local := strings.CutPrefix(location, "file://"); local {
		_, err := os.Stat(file)
		return err != nil
	}
	return mustBeTyped(location)
}
