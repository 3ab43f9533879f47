package state

import (
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"
)

// Memory is a store without a disk, for tests and simulated nodes. The zero
// Memory is empty and ready.
type Memory struct {
	// Name is what messages call the folder.
	Name string
	// Changed, if set, is called with the name of each file after it has been
	// saved or removed.
	Changed func(name string)
	// Now, if set, is the clock that dates locks.
	Now func() time.Time

	mu    sync.Mutex
	files map[string][]byte
	locks map[string]time.Time
}

// Path returns Name, or a name of its own without one.
func (m *Memory) Path() string {
	if m.Name == "" {
		return "/memory"
	}
	return m.Name
}

// Load implements Store.
func (m *Memory) Load(name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, found := m.files[name]
	if !found {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(data), nil
}

// Save implements Store. Everything in memory is equally durable.
func (m *Memory) Save(name string, data []byte, _ bool) error {
	m.mu.Lock()
	if m.files == nil {
		m.files = map[string][]byte{}
	}
	m.files[name] = slices.Clone(data)
	m.mu.Unlock()
	m.changed(name)
	return nil
}

// Remove implements Store.
func (m *Memory) Remove(name string) error {
	m.mu.Lock()
	delete(m.files, name)
	m.mu.Unlock()
	m.changed(name)
	return nil
}

func (m *Memory) changed(name string) {
	if m.Changed != nil {
		m.Changed(name)
	}
}

// TryLock implements Store.
func (m *Memory) TryLock(name string) (Unlocker, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if since, held := m.locks[name]; held {
		return nil, &LockedError{Path: m.Path() + "/" + name, PID: os.Getpid(), Since: since}
	}
	if m.locks == nil {
		m.locks = map[string]time.Time{}
	}
	m.locks[name] = m.now()
	return &memoryLock{store: m, name: name}, nil
}

func (m *Memory) now() time.Time {
	if m.Now == nil {
		return time.Now()
	}
	return m.Now()
}

// Locked implements Store.
func (m *Memory) Locked(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, held := m.locks[name]
	return held
}

// memoryLock is a lock that is held until it is released once.
type memoryLock struct {
	store *Memory
	name  string
	once  sync.Once
}

func (l *memoryLock) Unlock() error {
	l.once.Do(func() {
		l.store.mu.Lock()
		defer l.store.mu.Unlock()
		delete(l.store.locks, l.name)
	})
	return nil
}
