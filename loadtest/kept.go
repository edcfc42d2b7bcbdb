package loadtest

// maxKeptRequests bounds the memory of a session whose requests are all different.
const maxKeptRequests = 256

// kept is what a session has made of its requests: making it anew costs as much as
// half a round trip's bookkeeping. The zero kept is ready for use.
type kept[P any] struct {
	lastReq *Request // what last was made from
	last    P
	all     map[*Request]P // if there is more than one
}

// get returns what build makes of req, made once.
func (k *kept[P]) get(req *Request, build func(*Request) (P, error)) (P, error) {
	if k.lastReq == req && req != nil {
		return k.last, nil
	}
	return k.other(req, build)
}

// other is get for a request that is not the last one.
func (k *kept[P]) other(req *Request, build func(*Request) (P, error)) (P, error) {
	p, ok := k.all[req]
	if !ok {
		var err error
		if p, err = build(req); err != nil {
			return p, err
		}
		if len(k.all) >= maxKeptRequests {
			clear(k.all)
		}
		if k.lastReq != nil { // most sessions only ever send one request
			if k.all == nil {
				k.all = map[*Request]P{k.lastReq: k.last}
			}
			k.all[req] = p
		}
	}
	k.lastReq, k.last = req, p
	return p, nil
}
