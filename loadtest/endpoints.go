package loadtest

const (
	// maxEndpoints bounds the per-endpoint breakdown, and with it the memory of
	// a run: each endpoint has histograms of its own. Their numbers fit an int8.
	maxEndpoints = 64
	// foldedEndpoints is the name under which further endpoints are counted.
	foldedEndpoints = "(others)"
	noEndpoint      = -1
)

// endpoints numbers the names of requests. It is not safe for concurrent use:
// the feed that owns it serialises access.
type endpoints struct {
	names []string
	ids   map[string]int32
}

func newEndpoints() *endpoints { return &endpoints{ids: make(map[string]int32)} }

func (e *endpoints) id(name string) int32 {
	if name == "" {
		return noEndpoint
	}
	if id, ok := e.ids[name]; ok {
		return id
	}
	if len(e.names) >= maxEndpoints-1 && name != foldedEndpoints {
		return e.id(foldedEndpoints)
	}
	id := int32(len(e.names))
	e.names = append(e.names, name)
	e.ids[name] = id
	return id
}
