package main

import (
	"sort"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// Views finds what is below the root by its type, as a vCenter does that keeps lists of its objects. The simulator's own walks
// each path to each object for each view: with 20,000 guests no call of anybody else got through meanwhile.
type Views struct {
	simulator.ViewManager
}

// Types whose objects all lie below the root.
var listed = map[string]bool{"Datacenter": true, "ClusterComputeResource": true, "HostSystem": true, "VirtualMachine": true}

func content() types.ServiceContent {
	return simulator.Map.Get(ref{Type: "ServiceInstance", Value: "ServiceInstance"}).(*simulator.ServiceInstance).Content
}

func keepViews() {
	manager := simulator.Map.Get(*content().ViewManager).(*simulator.ViewManager)
	simulator.Map.Put(&Views{ViewManager: *manager})
}

// Search finds guests. The simulator's own ends at objects of ours that it does not know.
type Search struct {
	simulator.SearchIndex
}

func keepSearch() {
	index := simulator.Map.Get(*content().SearchIndex).(*simulator.SearchIndex)
	simulator.Map.Put(&Search{SearchIndex: *index})
}

func (*Search) FindByUuid(req *types.FindByUuid) soap.HasFault {
	body := &methods.FindByUuidBody{Res: new(types.FindByUuidResponse)}
	for _, each := range simulator.Map.All("VirtualMachine") {
		vm := each.(*VM)
		uuid := vm.Config.Uuid
		if req.InstanceUuid != nil && *req.InstanceUuid {
			uuid = vm.Config.InstanceUuid
		}
		if req.VmSearch && uuid == req.Uuid {
			at := vm.Self
			body.Res.Returnval = &at
		}
	}
	return body
}

func (m *Views) CreateContainerView(ctx *simulator.Context, req *types.CreateContainerView) soap.HasFault {
	isListed := req.Container == content().RootFolder && req.Recursive && len(req.Type) > 0
	for _, each := range req.Type {
		isListed = isListed && listed[each]
	}
	if !isListed {
		return m.ViewManager.CreateContainerView(ctx, req)
	}
	made := &View{types: map[string]bool{}}
	made.Self.Type = "ContainerView"
	made.Container, made.Recursive, made.Type = req.Container, req.Recursive, req.Type
	for _, kind := range req.Type {
		made.types[kind] = true
		for _, each := range simulator.Map.All(kind) {
			made.View = append(made.View, each.Reference())
		}
	}
	sort.Slice(made.View, func(i, j int) bool { return made.View[i].Value < made.View[j].Value })
	at := ctx.Session.Put(made).Reference()
	ctx.Map.AddHandler(made)
	return &methods.CreateContainerViewBody{Res: &types.CreateContainerViewResponse{Returnval: at}}
}

// View is a list of all objects of some types.
type View struct {
	mo.ContainerView
	mu    sync.Mutex
	types map[string]bool
}

func (v *View) DestroyView(ctx *simulator.Context, req *types.DestroyView) soap.HasFault {
	ctx.Map.RemoveHandler(v)
	ctx.Session.Remove(req.This)
	return &methods.DestroyViewBody{Res: &types.DestroyViewResponse{}}
}

func (v *View) PutObject(o mo.Reference) {
	at := o.Reference()
	if !v.types[at.Type] {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, each := range v.View {
		if each == at {
			return
		}
	}
	v.View = append(v.View, at)
}

func (v *View) RemoveObject(at types.ManagedObjectReference) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, each := range v.View {
		if each == at {
			v.View = append(v.View[:i:i], v.View[i+1:]...)
			return
		}
	}
}

func (*View) UpdateObject(mo.Reference, []types.PropertyChange) {}
