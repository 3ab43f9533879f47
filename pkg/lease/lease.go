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

// Holder is the node that holds the lease.
type Holder struct {
	Node string `json:"node"`
	// Term is its term as the active node, 0 while it is promoting.
	Term  uint64    `json:"term,omitempty"`
	Boot  string    `json:"boot,omitempty"`
	Since time.Time `json:"since,omitzero"`
	// Stopping reports that it releases the lease as soon as nothing on it can write.
	Stopping bool `json:"stopping,omitempty"`
	// Revision is the revision of etcd at which the lease was taken.
	Revision uint64 `json:"revision,omitempty"`
	// Left is the time until the lease expires unless it is renewed.
	Left time.Duration `json:"-"`

	id   clientv3.LeaseID
	left left
}

// Holder returns the holder of the lease; found is false if there is none.
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

// read parses the key of a holder. An invalid key is a holder without a name: the
// lease is held.
func (e *Etcd) read(ctx context.Context, client *clientv3.Client, kv *mvccpb.KeyValue) Holder {
	var h Holder
	if err := json.Unmarshal(kv.Value, &h); err != nil {
		h = Holder{}
	}
	h.Revision, h.id = uint64(kv.CreateRevision), clientv3.LeaseID(kv.Lease)
	// For display, and to detect renewals; no lease is granted because of it.
	asked := time.Now()
	if got, err := client.TimeToLive(ctx, h.id); err == nil && got.TTL > 0 {
		h.Left = time.Duration(got.TTL) * time.Second
		h.left = left{h.Left, time.Duration(got.GrantedTTL) * time.Second, got.RaftTerm, asked, time.Now()}
	}
	return h
}

// Take takes the lease for a node. If another node holds it, the error is a *HeldError.
// It ends an earlier lease of the same node: a node asks for another only when its
// earlier activity is over.
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

// drop ends an unused lease. If that fails, the lease expires.
func (e *Etcd) drop(ctx context.Context, client *clientv3.Client, id clientv3.LeaseID) {
	ctx, cancel := e.limit(context.WithoutCancel(ctx))
	defer cancel()
	_, _ = client.Revoke(ctx, id)
}

// Sign updates the holder's record in etcd.
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
		return &LostError{"its key in etcd was replaced"}
	}
	return nil
}

// Renew renews the lease for its whole duration, counted from before the call. The
// error is a *LostError if the lease is lost, and another error if that is unknown.
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
		return l, &LostError{"it has expired in etcd"}
	}
	if err != nil {
		return l, e.unreachable(err)
	}
	// The key may have been removed by hand. Reading it also proves that the member
	// that confirmed the lease has a majority behind it.
	ours, err := client.Get(ctx, e.key(), clientv3.WithKeysOnly())
	if err != nil {
		return l, e.unreachable(err)
	}
	if len(ours.Kvs) == 0 || uint64(ours.Kvs[0].CreateRevision) != l.Revision {
		return l, &LostError{"its key in etcd was removed or replaced"}
	}
	l.Asked, l.TTL = asked, time.Duration(alive.TTL)*time.Second
	return l, nil
}

// Release ends the lease, so that another node can take it at once.
func (e *Etcd) Release(ctx context.Context, l state.Lease) error {
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
