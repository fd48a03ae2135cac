package main

import (
	"context"
	"regexp"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// Keeper takes a host out of use as the vSphere Web Services API documents EnterMaintenanceMode_Task: the task goes on until no
// guest runs there. DRS moves those of a cluster that it automates fully; others have to be moved by whoever asked. The
// simulator's own does it at once, whatever runs there, and its hosts cannot be replaced: its code looks for its own type.
type Keeper struct {
	Self  ref
	host  *simulator.HostSystem
	world *world
	// How often it was asked to enter.
	asked    int
	entering *MoveTask
}

func (k *Keeper) Reference() ref { return k.Self }

const keeperType = "GodwitHostKeeper"

var keptMethods = map[string]bool{"EnterMaintenanceMode_Task": true, "ExitMaintenanceMode_Task": true}

var thisHost = regexp.MustCompile(`(<(?:[a-z0-9]+:)?_this[^>]*)type="HostSystem"`)

// Calls about maintenance mode go to the keeper of their host.
func toKeeper(method string, body []byte) []byte {
	if !keptMethods[method] {
		return body
	}
	return thisHost.ReplaceAll(body, []byte(`${1}type="`+keeperType+`"`))
}

func (w *world) keepHosts() {
	for _, each := range simulator.Map.All("HostSystem") {
		host := each.(*simulator.HostSystem)
		keeper := &Keeper{Self: ref{Type: keeperType, Value: host.Self.Value}, host: host, world: w}
		w.keepers[host.Name] = keeper
		simulator.Map.Put(keeper)
	}
}

func (k *Keeper) isClosed() bool {
	k.world.mu.Lock()
	defer k.world.mu.Unlock()
	return k.entering != nil || k.host.Runtime.InMaintenanceMode
}

func (k *Keeper) lacks(right string) *soap.Fault {
	if !k.world.isLacking(right) {
		return nil
	}
	return simulator.Fault("Permission to perform this operation was denied.",
		&types.NoPermission{Object: k.host.Self, PrivilegeId: right})
}

const maintenanceRight = "Host.Config.Maintenance"

func (k *Keeper) EnterMaintenanceModeTask(req *types.EnterMaintenanceMode_Task) soap.HasFault {
	if fault := k.lacks(maintenanceRight); fault != nil {
		return &methods.EnterMaintenanceMode_TaskBody{Fault_: fault}
	}
	if k.isClosed() {
		return &methods.EnterMaintenanceMode_TaskBody{Fault_: simulator.Fault("", &types.InvalidState{})}
	}
	task, ctx := k.world.newTask(k.host.Self, "EnterMaintenanceMode_Task", "HostSystem.enterMaintenanceMode")
	k.world.mu.Lock()
	k.asked++
	k.entering = task
	k.world.mu.Unlock()
	k.remember(task)
	offToo := req.EvacuatePoweredOffVms != nil && *req.EvacuatePoweredOffVms
	go k.enter(ctx, task, time.Duration(req.Timeout)*time.Second, offToo)
	return &methods.EnterMaintenanceMode_TaskBody{Res: &types.EnterMaintenanceMode_TaskResponse{Returnval: task.Self}}
}

func (k *Keeper) ExitMaintenanceModeTask(req *types.ExitMaintenanceMode_Task) soap.HasFault {
	if fault := k.lacks(maintenanceRight); fault != nil {
		return &methods.ExitMaintenanceMode_TaskBody{Fault_: fault}
	}
	if !k.host.Runtime.InMaintenanceMode {
		return &methods.ExitMaintenanceMode_TaskBody{Fault_: simulator.Fault("", &types.InvalidState{})}
	}
	task, _ := k.world.newTask(k.host.Self, "ExitMaintenanceMode_Task", "HostSystem.exitMaintenanceMode")
	k.remember(task)
	go func() {
		time.Sleep(200 * time.Millisecond)
		k.is(false)
		task.succeed(nil)
	}()
	return &methods.ExitMaintenanceMode_TaskBody{Res: &types.ExitMaintenanceMode_TaskResponse{Returnval: task.Self}}
}

func (k *Keeper) remember(task *MoveTask) {
	simulator.Map.WithLock(k.host, func() {
		simulator.Map.Update(k.host, []types.PropertyChange{{Name: "recentTask", Val: append(k.host.RecentTask, task.Self)}})
	})
}

func (k *Keeper) is(in bool) {
	simulator.Map.WithLock(k.host, func() {
		simulator.Map.Update(k.host, []types.PropertyChange{{Name: "runtime.inMaintenanceMode", Val: in}})
	})
}

func (k *Keeper) enter(ctx context.Context, task *MoveTask, timeout time.Duration, offToo bool) {
	begun := time.Now()
	ended := func() {
		k.world.mu.Lock()
		k.entering = nil
		k.world.mu.Unlock()
	}
	for {
		select {
		case <-ctx.Done():
			ended()
			task.fail(types.LocalizedMethodFault{Fault: &types.RequestCanceled{}, LocalizedMessage: "The task was canceled by a user."})
			return
		case <-time.After(50 * time.Millisecond):
		}
		if timeout > 0 && time.Since(begun) > timeout {
			ended()
			task.fail(types.LocalizedMethodFault{Fault: &types.Timedout{}, LocalizedMessage: "Operation timed out."})
			return
		}
		if k.guestsLeft(offToo) > 0 {
			continue
		}
		k.is(true)
		ended()
		task.succeed(nil)
		return
	}
}

// Guests that keep the host from it; DRS begins to move those that it may.
func (k *Keeper) guestsLeft(offToo bool) int {
	left := 0
	for _, vm := range k.guests() {
		isOn := vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn
		if !isOn && !offToo {
			continue
		}
		left++
		if !k.isAutomatic(vm) {
			continue
		}
		to := k.other()
		if to == nil {
			continue
		}
		if isOn {
			simulator.Map.WithLock(vm, func() { vm.move("Drm.ExecuteVMotionLRO", "Drm.ExecuteVMotionLRO", &to.Self, nil) })
		} else {
			k.world.arrive(vm, to.Name, "")
			k.world.save()
		}
	}
	return left
}

func (k *Keeper) guests() []*VM {
	k.world.mu.Lock()
	defer k.world.mu.Unlock()
	found := []*VM{}
	for name, each := range k.world.kept.Guests {
		if each.Host == k.host.Name && !each.Gone {
			found = append(found, k.world.vms[name])
		}
	}
	return found
}

func (k *Keeper) cluster() *simulator.ClusterComputeResource {
	cluster, ok := simulator.Map.Get(*k.host.Parent).(*simulator.ClusterComputeResource)
	if !ok {
		return nil
	}
	return cluster
}

func (k *Keeper) isAutomatic(vm *VM) bool {
	cluster := k.cluster()
	if cluster == nil {
		return false
	}
	config := cluster.ConfigurationEx.(*types.ClusterConfigInfoEx)
	if config.DrsConfig.Enabled == nil || !*config.DrsConfig.Enabled {
		return false
	}
	level := config.DrsConfig.DefaultVmBehavior
	for _, each := range config.DrsVmConfig {
		if each.Key == vm.Self {
			level = each.Behavior
		}
	}
	return level == types.DrsBehaviorFullyAutomated
}

// Another host of the cluster that takes guests.
func (k *Keeper) other() *simulator.HostSystem {
	for _, at := range k.cluster().Host {
		host := simulator.Map.Get(at).(*simulator.HostSystem)
		isUp := host.Runtime.ConnectionState == types.HostSystemConnectionStateConnected
		if host != k.host && isUp && !k.world.keepers[host.Name].isClosed() {
			return host
		}
	}
	return nil
}

// By host: whether it is in maintenance mode or enters it, and how often it was asked to.
func (w *world) maintenance() interface{} {
	found := map[string]interface{}{}
	for name, k := range w.keepers {
		w.mu.Lock()
		state := "out"
		if k.entering != nil {
			state = "entering"
		} else if k.host.Runtime.InMaintenanceMode {
			state = "in"
		}
		found[name] = map[string]interface{}{"state": state, "asked": k.asked}
		w.mu.Unlock()
	}
	return found
}
