package main

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

type ref = types.ManagedObjectReference

// A fault of the API by the name of its type, with its fields.
type faultSpec struct {
	Type   string          `json:"type"`
	Fields json.RawMessage `json:"fields"`
	Text   string          `json:"text"`
}

func (f faultSpec) make() (types.LocalizedMethodFault, error) {
	kind, ok := types.TypeFunc()(f.Type)
	if !ok {
		return types.LocalizedMethodFault{}, fmt.Errorf("the API has no fault %s", f.Type)
	}
	made := reflect.New(kind)
	if len(f.Fields) > 0 {
		if err := json.Unmarshal(f.Fields, made.Interface()); err != nil {
			return types.LocalizedMethodFault{}, err
		}
	}
	fault, ok := made.Interface().(types.BaseMethodFault)
	if !ok {
		return types.LocalizedMethodFault{}, fmt.Errorf("%s is no fault", f.Type)
	}
	return types.LocalizedMethodFault{Fault: fault, LocalizedMessage: f.Text}, nil
}

// What is kept of a guest.
type kept struct {
	Host      string           `json:"host"`
	Datastore string           `json:"datastore,omitempty"`
	Values    map[int32]string `json:"values,omitempty"`
	Moving    *moving          `json:"moving,omitempty"`
	// Tasks that ever moved it, or tried to.
	Tasks int `json:"tasks"`
	// Of the last order.
	Priority string `json:"priority,omitempty"`
	// It came from another vCenter; it went to another one.
	Adopted *adopted `json:"adopted,omitempty"`
	Gone    bool     `json:"gone,omitempty"`
}

// A move that its hosts carry out: it goes on where the manager dies.
type moving struct {
	Task   string    `json:"task"`
	To     string    `json:"to"`
	Store  string    `json:"store,omitempty"`
	Away   *away     `json:"away,omitempty"`
	EndsAt time.Time `json:"endsAt"`
}

type world struct {
	mu     sync.Mutex
	file   string
	kept   inventory
	vms    map[string]*VM
	byRef  map[ref]string
	taskMs int
	// Tasks fail so, at this percentage.
	fails   *faultSpec
	percent int
	finds   []faultSpec
	// The one host of which they are found; empty: all.
	findsAt string
	// What the file does not have yet: guests by name, and all else.
	changed map[string]bool
	counted bool
	// A right that the user lacks.
	lacking string
	// By the names of their hosts.
	keepers map[string]*Keeper
}

// VM is a guest whose moves take time.
type VM struct {
	simulator.VirtualMachine
	world *world
}

func newWorld(file string) *world {
	return &world{file: file, vms: map[string]*VM{}, keepers: map[string]*Keeper{}, byRef: map[ref]string{}, taskMs: 500, changed: map[string]bool{}, kept: inventory{Next: 1000, Guests: map[string]*kept{}}}
}

func (w *world) restore() error {
	for _, each := range simulator.Map.All("VirtualMachine") {
		vm := &VM{VirtualMachine: *each.(*simulator.VirtualMachine), world: w}
		simulator.Map.Put(vm)
		w.vms[vm.Name] = vm
		w.byRef[vm.Self] = vm.Name
	}
	manager := simulator.Map.CustomFieldsManager()
	fields := &Fields{CustomFieldsManager: *manager, world: w}
	simulator.Map.Put(fields)
	checker := &Checker{world: w}
	checker.Self = ref{Type: "VirtualMachineProvisioningChecker", Value: "ProvChecker"}
	simulator.Map.Put(checker)
	rights := simulator.Map.Get(ref{Type: "AuthorizationManager", Value: "AuthorizationManager"}).(*simulator.AuthorizationManager)
	simulator.Map.Put(&Rights{AuthorizationManager: *rights, world: w})
	for _, each := range simulator.Map.All("HostSystem") {
		each.(*simulator.HostSystem).Config.VirtualNicManagerInfo = vmotionBy("vmk0")
		each.(*simulator.HostSystem).Config.FeatureCapability = capabilities(hostFeatures)
	}
	knowEvcModes()
	w.keepHosts()
	simulator.Map.Put(sessionCollector())
	keepViews()
	keepSearch()
	found, err := w.load()
	if err != nil {
		return err
	}
	if !found {
		for name, vm := range w.vms {
			w.kept.Guests[name] = &kept{Host: hostAt(*vm.Runtime.Host), Datastore: storeAt(vm.Datastore[0])}
		}
		return w.rewrite()
	}
	fields.Field = w.kept.Fields
	for name, each := range w.kept.Guests {
		if each.Gone {
			w.forget(name)
			continue
		}
		if w.vms[name] == nil && each.Adopted != nil {
			w.adopt(name, *each)
		}
		vm := w.vms[name]
		if vm == nil {
			return fmt.Errorf("%s keeps a guest %s that this inventory lacks", w.file, name)
		}
		w.place(vm, each.Host, each.Datastore)
		for key, value := range each.Values {
			vm.set(key, value)
		}
		if each.Moving != nil {
			w.goOn(vm, each)
		}
	}
	return nil
}

// The hosts end what the manager began before it died; it knows of no task for it.
func (w *world) goOn(vm *VM, each *kept) {
	vm.locks(true)
	go func() {
		time.Sleep(time.Until(each.Moving.EndsAt))
		w.mu.Lock()
		to, store, away, tasks := each.Moving.To, each.Moving.Store, each.Moving.Away, each.Tasks
		w.mu.Unlock()
		isGone := away != nil && w.handOver(vm, *away, tasks) == nil
		if !isGone {
			w.arrive(vm, to, store)
			vm.locks(false)
		}
		w.save()
	}()
}

// It is another vCenter's.
func (w *world) forget(name string) {
	if vm := w.vms[name]; vm != nil {
		delete(w.vms, name)
		delete(w.byRef, vm.Self)
		simulator.Map.Remove(vm.Self)
	}
}

func (w *world) list() interface{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := map[string]interface{}{}
	for name, each := range w.kept.Guests {
		if each.Gone {
			continue
		}
		found[name] = map[string]interface{}{
			"host": each.Host, "tasks": each.Tasks, "moving": each.Moving != nil, "datastore": each.Datastore,
			"ref": w.vms[name].Self.Value, "priority": each.Priority,
		}
	}
	return found
}

func (w *world) tasksBehave(ms, percent int, fault *faultSpec) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.taskMs, w.percent, w.fails = ms, percent, fault
}

func (w *world) checksFind(at string, faults []faultSpec) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finds, w.findsAt = faults, at
}

// Somebody else moves a guest, at once.
func (w *world) moveAside(name, host string) error {
	vm := w.vms[name]
	if vm == nil || hostNamed(host) == nil {
		return fmt.Errorf("no guest %s, or no host %s", name, host)
	}
	w.arrive(vm, host, "")
	return w.save()
}

func (w *world) place(vm *VM, host, store string) {
	there, storage := hostNamed(host).Self, storeNamed(store)
	simulator.Map.WithLock(vm, func() {
		changes := []types.PropertyChange{
			{Name: "runtime.host", Val: &there},
			{Name: "summary.runtime.host", Val: &there},
		}
		if storage != nil {
			path := fmt.Sprintf("[%s] %s/%s.vmx", store, vm.Name, vm.Name)
			changes = append(changes,
				types.PropertyChange{Name: "datastore", Val: []ref{storage.Self}},
				types.PropertyChange{Name: "summary.config.vmPathName", Val: path},
			)
		}
		simulator.Map.Update(vm, changes)
	})
}

func (w *world) arrive(vm *VM, host, store string) {
	w.place(vm, host, store)
	w.mu.Lock()
	defer w.mu.Unlock()
	each := w.kept.Guests[vm.Name]
	each.Host, each.Moving = host, nil
	if store != "" {
		each.Datastore = store
	}
	w.changed[vm.Name] = true
}

// While it moves, the API offers no second move of it.
func (vm *VM) locks(on bool) {
	disabled := []string{}
	if on {
		disabled = []string{"MigrateVM_Task", "RelocateVM_Task"}
	}
	simulator.Map.WithLock(vm, func() {
		simulator.Map.Update(vm, []types.PropertyChange{{Name: "disabledMethod", Val: disabled}})
	})
}

func (vm *VM) set(key int32, value string) {
	values := []types.BaseCustomFieldValue{}
	for _, each := range vm.CustomValue {
		if each.GetCustomFieldValue().Key != key {
			values = append(values, each)
		}
	}
	values = append(values, &types.CustomFieldStringValue{CustomFieldValue: types.CustomFieldValue{Key: key}, Value: value})
	simulator.Map.Update(vm, []types.PropertyChange{{Name: "customValue", Val: values}, {Name: "value", Val: values}})
}

// Fields replaces a value; the simulator's own adds a second one.
type Fields struct {
	simulator.CustomFieldsManager
	world *world
}

func (f *Fields) AddCustomFieldDef(req *types.AddCustomFieldDef) soap.HasFault {
	for _, each := range f.Field {
		if each.Name == req.Name {
			return &methods.AddCustomFieldDefBody{Fault_: simulator.Fault("", &types.DuplicateName{Name: req.Name, Object: f.Self})}
		}
	}
	def := types.CustomFieldDef{Key: int32(len(f.Field) + 101), Name: req.Name, Type: "string", ManagedObjectType: req.MoType}
	simulator.Map.Update(f, []types.PropertyChange{{Name: "field", Val: append(f.Field, def)}})
	f.world.mu.Lock()
	f.world.kept.Fields = f.Field
	f.world.counted = true
	f.world.mu.Unlock()
	return &methods.AddCustomFieldDefBody{Res: &types.AddCustomFieldDefResponse{Returnval: def}}
}

func (f *Fields) SetField(ctx *simulator.Context, req *types.SetField) soap.HasFault {
	vm := f.world.vms[f.world.byRef[req.Entity]]
	if vm == nil {
		return &methods.SetFieldBody{Fault_: simulator.Fault("", &types.ManagedObjectNotFound{Obj: req.Entity})}
	}
	simulator.Map.WithLock(vm, func() { vm.set(req.Key, req.Value) })
	f.world.mu.Lock()
	each := f.world.kept.Guests[vm.Name]
	if each.Values == nil {
		each.Values = map[int32]string{}
	}
	each.Values[req.Key] = req.Value
	f.world.changed[vm.Name] = true
	f.world.mu.Unlock()
	return &methods.SetFieldBody{Res: &types.SetFieldResponse{}}
}

// MoveTask is a task that takes time, and that can be ended.
type MoveTask struct {
	mo.Task
	end context.CancelFunc
}

func (t *MoveTask) CancelTask(*types.CancelTask) soap.HasFault {
	if t.Info.State != types.TaskInfoStateRunning {
		return &methods.CancelTaskBody{Fault_: simulator.Fault("", &types.InvalidState{})}
	}
	if !t.Info.Cancelable {
		return &methods.CancelTaskBody{Fault_: simulator.Fault("", &types.NotSupported{})}
	}
	t.end()
	return &methods.CancelTaskBody{Res: &types.CancelTaskResponse{}}
}

func (t *MoveTask) update(changes ...types.PropertyChange) {
	simulator.Map.WithLock(t, func() { simulator.Map.Update(t, changes) })
}

func (t *MoveTask) fail(fault types.LocalizedMethodFault) {
	t.update(types.PropertyChange{Name: "info.completeTime", Val: time.Now()},
		types.PropertyChange{Name: "info.error", Val: &fault},
		types.PropertyChange{Name: "info.state", Val: types.TaskInfoStateError})
}

func (t *MoveTask) succeed(result types.AnyType) {
	t.update(types.PropertyChange{Name: "info.completeTime", Val: time.Now()},
		types.PropertyChange{Name: "info.result", Val: result},
		types.PropertyChange{Name: "info.state", Val: types.TaskInfoStateSuccess})
}

func (w *world) newTask(entity ref, name, description string) (*MoveTask, context.Context) {
	w.mu.Lock()
	w.kept.Next++
	id := fmt.Sprintf("task-%d", w.kept.Next)
	w.counted = true
	w.mu.Unlock()
	ctx, end := context.WithCancel(context.Background())
	task := &MoveTask{end: end}
	task.Self = ref{Type: "Task", Value: id}
	now := time.Now()
	task.Info = types.TaskInfo{
		Key: id, Task: task.Self, Name: name, DescriptionId: description, Entity: &entity, EntityName: w.byRef[entity],
		State: types.TaskInfoStateRunning, Cancelable: true, Reason: &types.TaskReasonUser{UserName: "godwit"},
		QueueTime: now, StartTime: &now,
	}
	simulator.Map.Put(task)
	return task, ctx
}

func (vm *VM) MigrateVMTask(ctx *simulator.Context, req *types.MigrateVM_Task) soap.HasFault {
	task, fault := vm.move("MigrateVM_Task", "VirtualMachine.migrate", req.Host, nil)
	if fault != nil {
		return &methods.MigrateVM_TaskBody{Fault_: fault}
	}
	return &methods.MigrateVM_TaskBody{Res: &types.MigrateVM_TaskResponse{Returnval: task}}
}

func (vm *VM) RelocateVMTask(ctx *simulator.Context, req *types.RelocateVM_Task) soap.HasFault {
	if vm.world.isLacking(moveRight) {
		return &methods.RelocateVM_TaskBody{Fault_: simulator.Fault("Permission to perform this operation was denied.",
			&types.NoPermission{Object: vm.Self, PrivilegeId: moveRight})}
	}
	vm.world.orderedWith(vm.Name, string(req.Priority))
	order := func() (ref, *soap.Fault) {
		if req.Spec.Service != nil {
			return vm.moveAway(req.Spec)
		}
		return vm.move("RelocateVM_Task", "VirtualMachine.relocate", req.Spec.Host, req.Spec.Datastore)
	}
	task, fault := order()
	if fault != nil {
		return &methods.RelocateVM_TaskBody{Fault_: fault}
	}
	return &methods.RelocateVM_TaskBody{Res: &types.RelocateVM_TaskResponse{Returnval: task}}
}

func (vm *VM) move(name, description string, to, store *ref) (ref, *soap.Fault) {
	w := vm.world
	if to == nil {
		to = vm.Runtime.Host
	}
	host, ok := simulator.Map.Get(*to).(*simulator.HostSystem)
	if !ok {
		return ref{}, simulator.Fault("", &types.InvalidArgument{InvalidProperty: "spec.host"})
	}
	if host.Runtime.ConnectionState != types.HostSystemConnectionStateConnected {
		return ref{}, simulator.Fault("", &types.HostNotConnected{})
	}
	if *to != *vm.Runtime.Host && w.keepers[host.Name].isClosed() {
		return ref{}, simulator.Fault("The operation is not allowed in the current state of the host.", &types.InvalidHostState{Host: to})
	}
	c := course{to: host.Name}
	if store != nil {
		c.store = storeAt(*store)
	}
	return vm.begin(name, description, c)
}

// Called with this guest's lock held.
func (vm *VM) begin(name, description string, c course) (ref, *soap.Fault) {
	w := vm.world
	w.mu.Lock()
	each := w.kept.Guests[vm.Name]
	if each.Moving != nil {
		moving := each.Moving.Task
		w.mu.Unlock()
		return ref{}, simulator.Fault("The operation is not allowed in the current state.",
			&types.TaskInProgress{Task: ref{Type: "Task", Value: moving}})
	}
	c.ms, c.fails, c.percent = w.taskMs, w.fails, w.percent
	endsAt := time.Now().Add(time.Duration(c.ms) * time.Millisecond)
	// Of a failing one the guest stays.
	if c.fails != nil {
		c.to, c.store, c.away = each.Host, "", nil
	}
	each.Tasks++
	each.Moving = &moving{To: c.to, Store: c.store, Away: c.away, EndsAt: endsAt}
	w.mu.Unlock()
	task, ctx := w.newTask(vm.Self, name, description)
	w.mu.Lock()
	each.Moving.Task = task.Self.Value
	w.changed[vm.Name] = true
	w.mu.Unlock()
	simulator.Map.Update(vm, []types.PropertyChange{
		{Name: "recentTask", Val: append(vm.RecentTask, task.Self)},
		{Name: "disabledMethod", Val: []string{"MigrateVM_Task", "RelocateVM_Task"}},
	})
	go vm.carryOut(ctx, task, c)
	return task.Self, nil
}

type course struct {
	to, store   string
	ms, percent int
	fails       *faultSpec
	// To another vCenter, and what is found there against it.
	away  *away
	lacks func() types.BaseMethodFault
}

func (vm *VM) carryOut(ctx context.Context, task *MoveTask, r course) {
	w := vm.world
	const steps = 10
	fault := types.LocalizedMethodFault{}
	failed := false
	if r.lacks != nil {
		if found := r.lacks(); found != nil {
			failed, fault = true, types.LocalizedMethodFault{Fault: found}
		}
	}
	for step := 1; step <= steps && !failed; step++ {
		select {
		case <-ctx.Done():
			failed = true
			fault = types.LocalizedMethodFault{Fault: &types.RequestCanceled{}, LocalizedMessage: "The task was canceled by a user."}
		case <-time.After(time.Duration(r.ms/steps) * time.Millisecond):
			if r.fails != nil && step*100/steps >= r.percent {
				failed = true
				fault, _ = r.fails.make()
			} else if step < steps {
				task.update(types.PropertyChange{Name: "info.progress", Val: int32(step * 100 / steps)})
			}
		}
	}
	w.mu.Lock()
	tasks := w.kept.Guests[vm.Name].Tasks
	w.mu.Unlock()
	if !failed && r.away != nil {
		if found := w.handOver(vm, *r.away, tasks); found != nil {
			failed, fault = true, types.LocalizedMethodFault{Fault: found}
		} else {
			w.save()
			task.succeed(nil)
			return
		}
	}
	if failed {
		w.mu.Lock()
		w.kept.Guests[vm.Name].Moving = nil
		w.changed[vm.Name] = true
		w.mu.Unlock()
	} else {
		w.arrive(vm, r.to, r.store)
	}
	vm.locks(false)
	w.save()
	if failed {
		task.fail(fault)
	} else {
		task.succeed(nil)
	}
}

// How the last order for a guest was to be placed among others.
func (w *world) orderedWith(name, priority string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept.Guests[name].Priority = priority
	w.changed[name] = true
}

// Checker says what a test has told it to find.
type Checker struct {
	mo.VirtualMachineProvisioningChecker
	world *world
}

func (c *Checker) found(vm ref, hosts []ref, further types.BaseMethodFault) (ref, *soap.Fault) {
	c.world.mu.Lock()
	finds, findsAt := c.world.finds, c.world.findsAt
	c.world.mu.Unlock()
	results := types.ArrayOfCheckResult{}
	for i := range hosts {
		host := hosts[i]
		result := types.CheckResult{Vm: &vm, Host: &host}
		for _, each := range finds {
			if findsAt != "" && hostAt(host) != findsAt {
				continue
			}
			fault, err := each.make()
			if err != nil {
				return ref{}, simulator.Fault(err.Error(), &types.InvalidArgument{})
			}
			result.Error = append(result.Error, fault)
		}
		if further != nil {
			result.Error = append(result.Error, types.LocalizedMethodFault{Fault: further})
		}
		results.CheckResult = append(results.CheckResult, result)
	}
	task, _ := c.world.newTask(vm, "CheckRelocate_Task", "VirtualMachineProvisioningChecker.checkRelocate")
	go func() {
		time.Sleep(20 * time.Millisecond)
		task.succeed(results)
	}()
	return task.Self, nil
}

func hostsOf(vm ref, host *ref) []ref {
	if host != nil {
		return []ref{*host}
	}
	return []ref{*simulator.Map.Get(vm).(*VM).Runtime.Host}
}

func (c *Checker) CheckRelocateTask(req *types.CheckRelocate_Task) soap.HasFault {
	var further types.BaseMethodFault
	hosts := hostsOf(req.Vm, req.Spec.Host)
	if req.Spec.Service != nil {
		// Its host is none of this vCenter's.
		hosts = hostsOf(req.Vm, nil)
		further = lacksElsewhere(simulator.Map.Get(req.Vm).(*VM), req.Spec)
	}
	task, fault := c.found(req.Vm, hosts, further)
	if fault != nil {
		return &methods.CheckRelocate_TaskBody{Fault_: fault}
	}
	return &methods.CheckRelocate_TaskBody{Res: &types.CheckRelocate_TaskResponse{Returnval: task}}
}

func (c *Checker) CheckMigrateTask(req *types.CheckMigrate_Task) soap.HasFault {
	task, fault := c.found(req.Vm, hostsOf(req.Vm, req.Host), nil)
	if fault != nil {
		return &methods.CheckMigrate_TaskBody{Fault_: fault}
	}
	return &methods.CheckMigrate_TaskBody{Res: &types.CheckMigrate_TaskResponse{Returnval: task}}
}

func (c *Checker) QueryVMotionCompatibilityExTask(req *types.QueryVMotionCompatibilityEx_Task) soap.HasFault {
	task, fault := c.found(req.Vm[0], req.Host, nil)
	if fault != nil {
		return &methods.QueryVMotionCompatibilityEx_TaskBody{Fault_: fault}
	}
	return &methods.QueryVMotionCompatibilityEx_TaskBody{Res: &types.QueryVMotionCompatibilityEx_TaskResponse{Returnval: task}}
}

// Rights tells of one right that the user lacks it.
type Rights struct {
	simulator.AuthorizationManager
	world *world
}

const moveRight = "Resource.HotMigrate"

func (w *world) isLacking(right string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lacking == right
}

func (w *world) lacks(right string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lacking = right
}

func (r *Rights) HasPrivilegeOnEntities(req *types.HasPrivilegeOnEntities) soap.HasFault {
	r.world.mu.Lock()
	lacking := r.world.lacking
	r.world.mu.Unlock()
	said := []types.EntityPrivilege{}
	for _, entity := range req.Entity {
		each := types.EntityPrivilege{Entity: entity}
		for _, id := range req.PrivId {
			each.PrivAvailability = append(each.PrivAvailability, types.PrivilegeAvailability{PrivId: id, IsGranted: id != lacking})
		}
		said = append(said, each)
	}
	return &methods.HasPrivilegeOnEntitiesBody{Res: &types.HasPrivilegeOnEntitiesResponse{Returnval: said}}
}

// The interfaces of a host that are selected for vMotion; none where there is no name.
func vmotionBy(vnic string) *types.HostVirtualNicManagerInfo {
	selected := []string{}
	if vnic != "" {
		selected = append(selected, "vmotion.key-vim.host.VirtualNic-"+vnic)
	}
	return &types.HostVirtualNicManagerInfo{NetConfig: []types.VirtualNicManagerNetConfig{
		{NicType: "management", SelectedVnic: []string{"management.key-vim.host.VirtualNic-vmk0"}},
		{NicType: "vmotion", SelectedVnic: selected},
	}}
}

func hostNamed(name string) *simulator.HostSystem {
	for _, each := range simulator.Map.All("HostSystem") {
		if host := each.(*simulator.HostSystem); host.Name == name {
			return host
		}
	}
	return nil
}

func hostAt(at ref) string { return simulator.Map.Get(at).(*simulator.HostSystem).Name }

func storeAt(at ref) string { return simulator.Map.Get(at).(*simulator.Datastore).Name }

func storeNamed(name string) *simulator.Datastore {
	for _, each := range simulator.Map.All("Datastore") {
		if store := each.(*simulator.Datastore); store.Name == name {
			return store
		}
	}
	return nil
}

func setHost(name, key, value string) error {
	host := hostNamed(name)
	if host == nil {
		return fmt.Errorf("no host is called %s", name)
	}
	var changed interface{} = value
	switch key {
	case "runtime.connectionState":
		changed = types.HostSystemConnectionState(value)
	case "runtime.inMaintenanceMode":
		changed = value == "true"
	case "capability.encryptedVMotionSupported":
		capability := types.HostCapability{}
		if host.Capability != nil {
			capability = *host.Capability
		}
		capability.EncryptedVMotionSupported = types.NewBool(value == "true")
		key, changed = "capability", capability
	case "config.virtualNicManagerInfo":
		changed = vmotionBy(value)
	case "config.featureCapability":
		changed = capabilities(value)
	}
	simulator.Map.WithLock(host, func() {
		simulator.Map.Update(host, []types.PropertyChange{{Name: key, Val: changed}})
	})
	return nil
}

// Gives a network another name.
func setNetwork(name, value string) error {
	for _, each := range simulator.Map.All("DistributedVirtualPortgroup") {
		network := each.(*simulator.DistributedVirtualPortgroup)
		if network.Name != name {
			continue
		}
		simulator.Map.WithLock(network, func() {
			simulator.Map.Update(network, []types.PropertyChange{{Name: "name", Val: value}})
		})
		return nil
	}
	return fmt.Errorf("no port group is called %s", name)
}

// Datastores that have one url are one datastore, also where two vCenters show it.
func setStore(name, url string) error {
	store := storeNamed(name)
	if store == nil {
		return fmt.Errorf("no datastore is called %s", name)
	}
	simulator.Map.WithLock(store, func() {
		simulator.Map.Update(store, []types.PropertyChange{{Name: "summary.url", Val: url}})
	})
	return nil
}

func setGuest(name, key, value string) error {
	for _, each := range simulator.Map.All("VirtualMachine") {
		vm := each.(*VM)
		if vm.Name != name {
			continue
		}
		var changed interface{} = value
		switch key {
		case "runtime.powerState":
			changed = types.VirtualMachinePowerState(value)
		case "runtime.connectionState":
			changed = types.VirtualMachineConnectionState(value)
		case "runtime.featureRequirement":
			changed = requirements(value)
		}
		simulator.Map.WithLock(vm, func() {
			simulator.Map.Update(vm, []types.PropertyChange{{Name: key, Val: changed}})
		})
		return nil
	}
	return fmt.Errorf("no guest is called %s", name)
}
