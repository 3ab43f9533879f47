package model

import ()

// Capacity is what the pool has, as zpool list shows it: vdevs are divided into
// metaslabs and labels take their part.
func (p *Pool) Capacity() uint64 {
	const slab = 16 << 20
	if p.Size < 2*slab {
		return p.Size
	}
	return (p.Size - 5<<20) / slab * slab
}

// PoolOverhead is what a pool with nothing in it has allocated.
const PoolOverhead = 112 << 10

// Usable is what datasets can take: some space is kept back.
func (p *Pool) Usable() uint64 {
	size := p.Capacity()
	slop := max(size/32, min(size/2, 128<<20))
	return size - slop - PoolOverhead
}
