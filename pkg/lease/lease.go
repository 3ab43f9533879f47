package lease

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/understudy-ha/understudy/pkg/clock"
	"github.com/understudy-ha/understudy/pkg/state"
)

// Holder is who has the lease.
type Holder struct {
	Node string `json:"node"`
	// Term is the one under which it is active, 0 while it is becoming so.
	Term  uint64    `json:"term,omitempty"`
	Boot  string    `json:"boot,omitempty"`
	Since time.Time `json:"since,omitzero"`
	// Stopping says that it releases the lease, as soon as nothing can be
	// written there any more.
	Stopping bool `json:"stopping,omitempty"`
	// Revision is etcd's when the lease was taken.
	Revision uint64 `json:"revision,omitempty"`
	// Left is how long the lease lasts unless it is renewed.
	Left time.Duration `json:"-"`

	id   clientv3.LeaseID
	left left
}

// Holder returns who has the lease; found is false when nobody has.
func (e *Etcd) Holder(ctx context.Context) (h Holder, found bool, err error) {
	client, err := e.open()
	if err != nil {
		return Holder{}, false, err
	}
	ctx, cancel := e.limit(ctx)
	defer cancel()
	got, err := client.Get(ctx, e.key())
	if err != nil {
		return Holder{}, false, e.unreachable(err)
	}
	if len(got.Kvs) == 0 {
		return Holder{}, false, nil
	}
	return e.read(ctx, client, got.Kvs[0]), true, nil
}

// read reads the key of a holder. What can't be read is a holder without a name:
// somebody has the lease.
func (e *Etcd) read(ctx context.Context, client *clientv3.Client, kv *mvccpb.KeyValue) Holder {
	var h Holder
	if err := json.Unmarshal(kv.Value, &h); err != nil {
		h = Holder{}
	}
	h.Revision, h.id = uint64(kv.CreateRevision), clientv3.LeaseID(kv.Lease)
	// For people, and to see whether it is renewed; nobody gets a lease by it.
	asked := time.Now()
	if got, err := client.TimeToLive(ctx, h.id); err == nil && got.TTL > 0 {
		h.Left = time.Duration(got.TTL) * time.Second
		h.left = left{h.Left, time.Duration(got.GrantedTTL) * time.Second, got.RaftTerm, asked, time.Now()}
	}
	return h
}

// Take takes the lease for a node, if nobody else has it: else the error is a
// *HeldError. One that this node has left from before ends: what it did then is
// over when it asks for another.
func (e *Etcd) Take(ctx context.Context, as Holder) (state.Lease, error) {
	held, found, err := e.Holder(ctx)
	if err != nil {
		return state.Lease{}, err
	}
	if found && held.Node != as.Node {
		return state.Lease{}, &HeldError{held}
	}
	client, err := e.open()
	if err != nil {
		return state.Lease{}, err
	}
	ctx, cancel := e.limit(ctx)
	defer cancel()
	if found {
		if _, err := client.Revoke(ctx, held.id); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return state.Lease{}, e.unreachable(err)
		}
	}
	asked, err := clock.System().SinceBoot()
	if err != nil {
		return state.Lease{}, err
	}
	grant, err := client.Grant(ctx, int64(e.cfg.TTL/time.Second))
	if err != nil {
		return state.Lease{}, e.unreachable(err)
	}
	value, err := json.Marshal(as)
	if err != nil {
		return state.Lease{}, err
	}
	taken, err := client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(e.key()), "=", 0)).
		Then(clientv3.OpPut(e.key(), string(value), clientv3.WithLease(grant.ID))).
		Else(clientv3.OpGet(e.key())).Commit()
	if err != nil || !taken.Succeeded {
		e.drop(ctx, client, grant.ID)
	}
	switch {
	case err != nil:
		return state.Lease{}, e.unreachable(err)
	case !taken.Succeeded:
		return state.Lease{}, &HeldError{e.read(ctx, client, taken.Responses[0].GetResponseRange().Kvs[0])}
	}
	return state.Lease{ID: int64(grant.ID), Revision: uint64(taken.Header.Revision), Boot: as.Boot,
		Asked: asked, TTL: time.Duration(grant.TTL) * time.Second}, nil
}

// drop ends a lease that is not used; it ends by itself, if that fails.
func (e *Etcd) drop(ctx context.Context, client *clientv3.Client, id clientv3.LeaseID) {
	ctx, cancel := e.limit(context.WithoutCancel(ctx))
	defer cancel()
	_, _ = client.Revoke(ctx, id)
}

// Sign says in etcd what the holder is by now.
func (e *Etcd) Sign(ctx context.Context, l state.Lease, as Holder) error {
	client, err := e.open()
	if err != nil {
		return err
	}
	ctx, cancel := e.limit(ctx)
	defer cancel()
	value, err := json.Marshal(as)
	if err != nil {
		return err
	}
	signed, err := client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(e.key()), "=", int64(l.Revision))).
		Then(clientv3.OpPut(e.key(), string(value), clientv3.WithLease(clientv3.LeaseID(l.ID)))).Commit()
	if err != nil {
		return e.unreachable(err)
	}
	if !signed.Succeeded {
		return &LostError{"its key in etcd is another one now"}
	}
	return nil
}

// Renew makes the lease last for its whole time again, from before Renew was
// called. The error is a *LostError when it is over, and another one when that is
// not known.
func (e *Etcd) Renew(ctx context.Context, l state.Lease) (state.Lease, error) {
	client, err := e.open()
	if err != nil {
		return l, err
	}
	ctx, cancel := e.limit(ctx)
	defer cancel()
	asked, err := clock.System().SinceBoot()
	if err != nil {
		return l, err
	}
	alive, err := client.KeepAliveOnce(ctx, clientv3.LeaseID(l.ID))
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return l, &LostError{"etcd knows it no more"}
	}
	if err != nil {
		return l, e.unreachable(err)
	}
	// The key may have been removed by hand. Asking for it also shows that who
	// confirmed the lease has a majority behind it.
	ours, err := client.Get(ctx, e.key(), clientv3.WithKeysOnly())
	if err != nil {
		return l, e.unreachable(err)
	}
	if len(ours.Kvs) == 0 || uint64(ours.Kvs[0].CreateRevision) != l.Revision {
		return l, &LostError{"its key in etcd is gone, or another one"}
	}
	l.Asked, l.TTL = asked, time.Duration(alive.TTL)*time.Second
	return l, nil
}

// GiveBack ends the lease, so that another node can have it at once.
func (e *Etcd) GiveBack(ctx context.Context, l state.Lease) error {
	client, err := e.open()
	if err != nil {
		return err
	}
	ctx, cancel := e.limit(ctx)
	defer cancel()
	if _, err := client.Revoke(ctx, clientv3.LeaseID(l.ID)); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return e.unreachable(err)
	}
	return nil
}

func (e *Etcd) unreachable(err error) error { return &UnreachableError{e.cfg.Endpoints, err} }
