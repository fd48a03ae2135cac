package main

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// Changes that come within this are reported together.
const gather = 50 * time.Millisecond

// Pages of answers that nobody has asked for yet, of one session at most.
const mostPages = 64

// Collector answers in pages, and reports only what has changed. The simulator's own answers whole, and reads its whole
// inventory at each change. Its zero value is ready: the simulator makes one for each session.
type Collector struct {
	simulator.PropertyCollector
	mu     sync.Mutex
	tokens int
	pages  map[string][]types.ObjectContent
	// Of a collector that somebody made: what it follows.
	filters []*filter
	// The version that was reported last, the one before it, and the report between the two: it may have been lost.
	version, before string
	reported        *types.UpdateSet
	count           int
	// Objects of which something is to be reported, in order.
	queue   []ref
	pending map[ref]*change
	news    chan struct{}
	cancel  chan struct{}
}

type filter struct {
	mo.PropertyFilter
	known map[ref]bool
	// By a view, or of single objects.
	isView bool
}

type change struct {
	names map[string]bool
	gone  bool
}

func (f *filter) names(kind string) []string {
	for _, set := range f.Spec.PropSet {
		if set.Type == kind {
			return set.PathSet
		}
	}
	return nil
}

func (c *Collector) RetrievePropertiesEx(ctx *simulator.Context, req *types.RetrievePropertiesEx) soap.HasFault {
	said := c.PropertyCollector.RetrievePropertiesEx(ctx, req)
	body, ok := said.(*methods.RetrievePropertiesExBody)
	if !ok || body.Res == nil || body.Res.Returnval == nil {
		return said
	}
	body.Res.Returnval = c.page(body.Res.Returnval.Objects, int(req.Options.MaxObjects))
	return body
}

func (c *Collector) ContinueRetrievePropertiesEx(req *types.ContinueRetrievePropertiesEx) soap.HasFault {
	c.mu.Lock()
	objects, ok := c.pages[req.Token]
	delete(c.pages, req.Token)
	c.mu.Unlock()
	if !ok {
		return &methods.ContinueRetrievePropertiesExBody{Fault_: simulator.Fault("", &types.InvalidArgument{InvalidProperty: "token"})}
	}
	// A page has as many objects as the one before it.
	most, _ := strconv.Atoi(req.Token[strings.LastIndex(req.Token, "/")+1:])
	page := c.page(objects, most)
	return &methods.ContinueRetrievePropertiesExBody{Res: &types.ContinueRetrievePropertiesExResponse{Returnval: *page}}
}

func (c *Collector) page(objects []types.ObjectContent, most int) *types.RetrieveResult {
	if most <= 0 || len(objects) <= most {
		return &types.RetrieveResult{Objects: objects}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pages == nil || len(c.pages) >= mostPages {
		c.pages = map[string][]types.ObjectContent{}
	}
	c.tokens++
	token := fmt.Sprintf("%d/%d", c.tokens, most)
	c.pages[token] = objects[most:]
	return &types.RetrieveResult{Objects: objects[:most], Token: token}
}

func (c *Collector) CreatePropertyCollector(ctx *simulator.Context, req *types.CreatePropertyCollector) soap.HasFault {
	made := &Collector{pending: map[ref]*change{}, news: make(chan struct{}, 1)}
	made.Self.Type = "PropertyCollector"
	return &methods.CreatePropertyCollectorBody{
		Res: &types.CreatePropertyCollectorResponse{Returnval: ctx.Session.Put(made).Reference()},
	}
}

func (c *Collector) CreateFilter(ctx *simulator.Context, req *types.CreateFilter) soap.HasFault {
	made := &filter{known: map[ref]bool{}}
	made.Self.Type = "PropertyFilter"
	made.Spec, made.PartialUpdates = req.Spec, req.PartialUpdates
	for _, set := range req.Spec.ObjectSet {
		made.isView = made.isView || len(set.SelectSet) > 0
	}
	at := ctx.Session.Put(made).Reference()
	c.mu.Lock()
	c.filters = append(c.filters, made)
	c.mu.Unlock()
	return &methods.CreateFilterBody{Res: &types.CreateFilterResponse{Returnval: at}}
}

func (c *Collector) DestroyPropertyCollector(ctx *simulator.Context, req *types.DestroyPropertyCollector) soap.HasFault {
	c.CancelWaitForUpdates(&types.CancelWaitForUpdates{This: req.This})
	ctx.Map.RemoveHandler(c)
	for _, each := range c.filters {
		ctx.Session.Remove(each.Self)
	}
	ctx.Session.Remove(req.This)
	return &methods.DestroyPropertyCollectorBody{Res: &types.DestroyPropertyCollectorResponse{}}
}

// The handlers are called with the lock of their object held: they only note what is to be read.

func (c *Collector) PutObject(o mo.Reference) { c.note(o.Reference(), nil, false) }

func (c *Collector) UpdateObject(o mo.Reference, changes []types.PropertyChange) {
	c.note(o.Reference(), changes, false)
}

func (c *Collector) RemoveObject(at types.ManagedObjectReference) { c.note(at, nil, true) }

func (c *Collector) note(at ref, changes []types.PropertyChange, gone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := map[string]bool{}
	wanted := false
	for _, each := range c.filters {
		asked := each.names(at.Type)
		if asked == nil || !(each.known[at] || each.isView) {
			continue
		}
		wanted = wanted || gone || !each.known[at]
		for _, name := range asked {
			for _, changed := range changes {
				if name == changed.Name || strings.HasPrefix(changed.Name, name+".") || strings.HasPrefix(name, changed.Name+".") {
					names[name] = true
				}
			}
		}
	}
	if !wanted && len(names) == 0 {
		return
	}
	noted := c.pending[at]
	if noted == nil {
		noted = &change{names: map[string]bool{}}
		c.pending[at] = noted
		c.queue = append(c.queue, at)
	}
	noted.gone = gone
	for name := range names {
		noted.names[name] = true
	}
	c.wake()
}

func (c *Collector) wake() {
	select {
	case c.news <- struct{}{}:
	default:
	}
}

func (c *Collector) CancelWaitForUpdates(*types.CancelWaitForUpdates) soap.HasFault {
	c.mu.Lock()
	if c.cancel != nil {
		close(c.cancel)
		c.cancel = nil
	}
	c.mu.Unlock()
	return &methods.CancelWaitForUpdatesBody{Res: new(types.CancelWaitForUpdatesResponse)}
}

func (c *Collector) WaitForUpdatesEx(ctx *simulator.Context, req *types.WaitForUpdatesEx) soap.HasFault {
	most := 0
	waits := time.Duration(-1)
	if req.Options != nil {
		most = int(req.Options.MaxObjectUpdates)
		if seconds := req.Options.MaxWaitSeconds; seconds != nil {
			waits = time.Duration(*seconds) * time.Second
		}
	}
	c.mu.Lock()
	isAgain := req.Version != "" && req.Version == c.before && c.reported != nil
	again := c.reported
	isNow := req.Version == c.version
	c.mu.Unlock()
	if isAgain {
		return updatesBody(again)
	}
	if req.Version == "" {
		if fault := c.begin(ctx); fault != nil {
			return &methods.WaitForUpdatesExBody{Fault_: fault}
		}
		waits = 0
	} else if !isNow {
		return &methods.WaitForUpdatesExBody{Fault_: simulator.Fault("", &types.InvalidCollectorVersion{})}
	}
	set, fault := c.wait(ctx, waits, most)
	if fault != nil {
		return &methods.WaitForUpdatesExBody{Fault_: fault}
	}
	if set == nil && req.Version == "" {
		set = c.report(nil, false)
	}
	return updatesBody(set)
}

func updatesBody(set *types.UpdateSet) soap.HasFault {
	return &methods.WaitForUpdatesExBody{Res: &types.WaitForUpdatesExResponse{Returnval: set}}
}

// All that is followed is new.
func (c *Collector) begin(ctx *simulator.Context) *soap.Fault {
	c.mu.Lock()
	c.queue, c.pending = nil, map[ref]*change{}
	filters := c.filters
	for _, each := range filters {
		each.known = map[ref]bool{}
	}
	c.mu.Unlock()
	ctx.Map.AddHandler(c)
	for _, each := range filters {
		// Which objects there are, without a property of any.
		bare := types.PropertyFilterSpec{ObjectSet: each.Spec.ObjectSet}
		for _, set := range each.Spec.PropSet {
			bare.PropSet = append(bare.PropSet, types.PropertySpec{Type: set.Type})
		}
		objects, fault := c.read(ctx, bare)
		if fault != nil {
			return fault
		}
		c.mu.Lock()
		for _, object := range objects {
			if c.pending[object.Obj] == nil {
				c.pending[object.Obj] = &change{names: map[string]bool{}}
				c.queue = append(c.queue, object.Obj)
			}
		}
		c.mu.Unlock()
	}
	return nil
}

func (c *Collector) read(ctx *simulator.Context, spec types.PropertyFilterSpec) ([]types.ObjectContent, *soap.Fault) {
	said := c.PropertyCollector.RetrievePropertiesEx(ctx, &types.RetrievePropertiesEx{This: c.Self, SpecSet: []types.PropertyFilterSpec{spec}})
	body := said.(*methods.RetrievePropertiesExBody)
	if body.Fault_ != nil {
		return nil, body.Fault_
	}
	return body.Res.Returnval.Objects, nil
}

// Until there is something to report, or the time is over: then nothing. Less than no time is for ever.
func (c *Collector) wait(ctx *simulator.Context, waits time.Duration, most int) (*types.UpdateSet, *soap.Fault) {
	cancel := make(chan struct{})
	c.mu.Lock()
	c.cancel = cancel
	c.mu.Unlock()
	var over <-chan time.Time
	if waits >= 0 {
		timer := time.NewTimer(waits)
		defer timer.Stop()
		over = timer.C
	}
	for {
		set, fault := c.take(ctx, most)
		if set != nil || fault != nil {
			return set, fault
		}
		if waits == 0 {
			return nil, nil
		}
		select {
		case <-c.news:
			time.Sleep(gather)
		case <-over:
			return nil, nil
		case <-cancel:
			return nil, simulator.Fault("", new(types.RequestCanceled))
		}
	}
}

// The next of what is pending, as it is now.
func (c *Collector) take(ctx *simulator.Context, most int) (*types.UpdateSet, *soap.Fault) {
	c.mu.Lock()
	some := c.queue
	if most > 0 && len(some) > most {
		some = some[:most]
	}
	c.queue = append([]ref{}, c.queue[len(some):]...)
	noted := map[ref]*change{}
	for _, at := range some {
		noted[at] = c.pending[at]
		delete(c.pending, at)
	}
	filters, isMore := c.filters, len(c.queue) > 0
	c.mu.Unlock()
	if len(some) == 0 {
		return nil, nil
	}
	sets := []types.PropertyFilterUpdate{}
	for _, each := range filters {
		set, fault := c.updateOf(ctx, each, some, noted)
		if fault != nil {
			return nil, fault
		}
		if len(set.ObjectSet) > 0 {
			sets = append(sets, set)
		}
	}
	if len(sets) == 0 && !isMore {
		return nil, nil
	}
	return c.report(sets, isMore), nil
}

func (c *Collector) updateOf(ctx *simulator.Context, f *filter, some []ref, noted map[ref]*change) (types.PropertyFilterUpdate, *soap.Fault) {
	update := types.PropertyFilterUpdate{Filter: f.Self}
	spec := types.PropertyFilterSpec{PropSet: f.Spec.PropSet, ReportMissingObjectsInResults: types.NewBool(true)}
	for _, at := range some {
		if f.names(at.Type) == nil {
			continue
		}
		if !noted[at].gone {
			spec.ObjectSet = append(spec.ObjectSet, types.ObjectSpec{Obj: at})
		} else if c.forgets(f, at) {
			update.ObjectSet = append(update.ObjectSet, types.ObjectUpdate{Obj: at, Kind: types.ObjectUpdateKindLeave})
		}
	}
	if len(spec.ObjectSet) == 0 {
		return update, nil
	}
	objects, fault := c.read(ctx, spec)
	if fault != nil {
		return update, fault
	}
	for _, object := range objects {
		isKnown := c.learns(f, object.Obj)
		kind := types.ObjectUpdateKindEnter
		if isKnown {
			kind = types.ObjectUpdateKindModify
		}
		changed := types.ObjectUpdate{Obj: object.Obj, Kind: kind}
		for _, property := range object.PropSet {
			if isKnown && !noted[object.Obj].names[property.Name] {
				continue
			}
			changed.ChangeSet = append(changed.ChangeSet, types.PropertyChange{
				Op: types.PropertyChangeOpAssign, Name: property.Name, Val: property.Val,
			})
		}
		if !isKnown || len(changed.ChangeSet) > 0 {
			update.ObjectSet = append(update.ObjectSet, changed)
		}
	}
	return update, nil
}

func (c *Collector) learns(f *filter, at ref) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := f.known[at]
	f.known[at] = true
	return known
}

func (c *Collector) forgets(f *filter, at ref) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := f.known[at]
	delete(f.known, at)
	return known
}

func (c *Collector) report(sets []types.PropertyFilterUpdate, isMore bool) *types.UpdateSet {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	c.before, c.version = c.version, strconv.Itoa(c.count)
	set := &types.UpdateSet{Version: c.version, FilterSet: sets}
	if isMore {
		set.Truncated = types.NewBool(true)
	}
	c.reported = set
	return set
}
