package images

// Progress is told how a run gets on. Its methods are called by several
// goroutines at the same time.
type Progress interface {
	// Planned tells how many images are checked.
	Planned(images int)
	// Start says that an image is fetched now, of about so many bytes; 0 is
	// unknown.
	Start(ref string, bytes int64)
	// Moved tells how far a layer is, or all of the image where layer is "".
	Moved(ref, layer string, bytes, total int64)
	// Done says that an image that was started is here, or has failed.
	Done(item *Item)
}

// silent is the Progress that nobody sees.
type silent struct{}

func (silent) Planned(int)                        {}
func (silent) Start(string, int64)                {}
func (silent) Moved(string, string, int64, int64) {}
func (silent) Done(*Item)                         {}
