package main

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// Moves to another vCenter, as the vSphere Web Services API documents RelocateVM_Task with a ServiceLocator: the vCenter of the
// guest reaches the other one at the locator's url, compares its certificate with sslThumbprint, logs in with the credential, and
// is given host, pool and datastore as the other one names them. Each network card needs a network there (deviceChange). The
// guest is another object then, with the instance UUID that it had.

const answerTime = 10 * time.Second

// A vCenter of a name of its own has other hosts, guests and UUIDs than one of another name.
func rename(name string) {
	if name == "" {
		return
	}
	space := uuid.NewSHA1(uuid.NameSpaceOID, []byte(name))
	for _, each := range simulator.Map.All("HostSystem") {
		host := each.(*simulator.HostSystem)
		host.Name = name + host.Name
		host.Summary.Config.Name = host.Name
	}
	for _, each := range simulator.Map.All("VirtualMachine") {
		vm := each.(*simulator.VirtualMachine)
		of := func(kind string) string { return uuid.NewSHA1(space, []byte(kind+vm.Name)).String() }
		vm.Config.Uuid, vm.Config.InstanceUuid = of("bios"), of("instance")
		vm.Name = name + vm.Name
		vm.Config.Name, vm.Summary.Config.Name = vm.Name, vm.Name
		vm.Summary.Config.Uuid, vm.Summary.Config.InstanceUuid = vm.Config.Uuid, vm.Config.InstanceUuid
	}
}

// Another vCenter, reached as a locator says.
type other struct {
	client *vim25.Client
	at     *url.URL
	login  *types.ServiceLocatorNamePassword
}

func invalid(property string) types.BaseMethodFault {
	return &types.InvalidArgument{InvalidProperty: property}
}

// Reaches it; the fault says what is wrong.
func reach(ctx context.Context, locator *types.ServiceLocator) (*other, types.BaseMethodFault) {
	at, err := url.Parse(locator.Url)
	if err != nil || at.Scheme != "https" {
		return nil, invalid("spec.service.url")
	}
	login, ok := locator.Credential.(*types.ServiceLocatorNamePassword)
	if !ok {
		return nil, invalid("spec.service.credential")
	}
	at.Path = "/sdk"
	connection, err := tls.Dial("tcp", at.Host, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return nil, &types.HostConnectFault{}
	}
	sum := sha1.Sum(connection.ConnectionState().PeerCertificates[0].Raw)
	connection.Close()
	shown := strings.ToUpper(strings.TrimSuffix(strings.ReplaceAll(fmt.Sprintf("% x", sum), " ", ":"), ":"))
	if !strings.EqualFold(shown, locator.SslThumbprint) {
		return nil, &types.SSLVerifyFault{SelfSigned: true, Thumbprint: shown}
	}
	made, err := vim25.NewClient(ctx, soap.NewClient(at, true))
	if err != nil {
		return nil, &types.HostConnectFault{}
	}
	if made.ServiceContent.About.InstanceUuid != locator.InstanceUuid {
		return nil, invalid("spec.service.instanceUuid")
	}
	_, err = methods.Login(ctx, made, &types.Login{This: *made.ServiceContent.SessionManager, UserName: login.Username, Password: login.Password})
	if err != nil {
		return nil, &types.InvalidLogin{}
	}
	return &other{client: made, at: at, login: login}, nil
}

func (o *other) leave(ctx context.Context) {
	methods.Logout(ctx, o.client, &types.Logout{This: *o.client.ServiceContent.SessionManager})
}

// What the specification names is there, and each card of the guest has a network.
func (o *other) lacks(ctx context.Context, vm *VM, spec types.VirtualMachineRelocateSpec) types.BaseMethodFault {
	if spec.Host == nil {
		return invalid("spec.host")
	}
	if spec.Pool == nil {
		return invalid("spec.pool")
	}
	if spec.Datastore == nil {
		return invalid("spec.datastore")
	}
	var host mo.HostSystem
	if err := mo.RetrieveProperties(ctx, o.client, o.client.ServiceContent.PropertyCollector, *spec.Host, &host); err != nil {
		return &types.ManagedObjectNotFound{Obj: *spec.Host}
	}
	if !has(host.Datastore, *spec.Datastore) {
		return invalid("spec.datastore")
	}
	if host.Runtime.ConnectionState != types.HostSystemConnectionStateConnected {
		return &types.HostNotConnected{}
	}
	networks := map[int32]bool{}
	for _, each := range spec.DeviceChange {
		device := each.GetVirtualDeviceConfigSpec().Device.GetVirtualDevice()
		networks[device.Key] = o.isThere(ctx, host, device.Backing)
	}
	for _, each := range vm.Config.Hardware.Device {
		card, ok := each.(types.BaseVirtualEthernetCard)
		if !ok {
			continue
		}
		if own := card.GetVirtualEthernetCard(); !networks[own.Key] {
			fault := &types.CannotAccessNetwork{}
			fault.Device, fault.Backing, fault.Connected = own.DeviceInfo.GetDescription().Label, "no network of the destination", true
			return fault
		}
	}
	return nil
}

func has(all []ref, one ref) bool {
	for _, each := range all {
		if each == one {
			return true
		}
	}
	return false
}

// That host has the network of a card's backing.
func (o *other) isThere(ctx context.Context, host mo.HostSystem, backing types.BaseVirtualDeviceBackingInfo) bool {
	switch wanted := backing.(type) {
	case *types.VirtualEthernetCardNetworkBackingInfo:
		return wanted.Network != nil && has(host.Network, *wanted.Network)
	case *types.VirtualEthernetCardDistributedVirtualPortBackingInfo:
		for _, each := range host.Network {
			if each.Type != "DistributedVirtualPortgroup" {
				continue
			}
			var group mo.DistributedVirtualPortgroup
			err := mo.RetrieveProperties(ctx, o.client, o.client.ServiceContent.PropertyCollector, each, &group)
			if err != nil || group.Key != wanted.Port.PortgroupKey {
				continue
			}
			var network mo.DistributedVirtualSwitch
			err = mo.RetrieveProperties(ctx, o.client, o.client.ServiceContent.PropertyCollector, *group.Config.DistributedVirtualSwitch, &network)
			return err == nil && network.Uuid == wanted.Port.SwitchUuid
		}
	}
	return false
}

// What would keep the guest from going to another vCenter.
func lacksElsewhere(vm *VM, spec types.VirtualMachineRelocateSpec) types.BaseMethodFault {
	ctx, end := context.WithTimeout(context.Background(), answerTime)
	defer end()
	there, fault := reach(ctx, spec.Service)
	if fault != nil {
		return fault
	}
	defer there.leave(ctx)
	return there.lacks(ctx, vm, spec)
}

// Where a guest goes that leaves this vCenter.
type away struct {
	Url      string `json:"url"`
	User     string `json:"user"`
	Password string `json:"password"`
	Host     ref    `json:"host"`
	Store    ref    `json:"store"`
}

// A guest that comes from another vCenter, as its hosts hand it over.
type arrival struct {
	User     string `json:"user"`
	Password string `json:"password"`
	Name     string `json:"name"`
	Instance string `json:"instance"`
	Uuid     string `json:"uuid"`
	Host     ref    `json:"host"`
	Store    ref    `json:"store"`
	Tasks    int    `json:"tasks"`
}

// The guest becomes one of the other vCenter, and none of this one.
func (w *world) handOver(vm *VM, to away, tasks int) types.BaseMethodFault {
	said := arrival{User: to.User, Password: to.Password, Name: vm.Name, Instance: vm.Config.InstanceUuid, Uuid: vm.Config.Uuid, Host: to.Host, Store: to.Store, Tasks: tasks}
	body, err := json.Marshal(said)
	if err != nil {
		return &types.SystemError{}
	}
	at, err := url.Parse(to.Url)
	if err != nil {
		return &types.SystemError{}
	}
	at.Path = arrivals
	sender := &http.Client{Timeout: answerTime, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	answer, err := sender.Post(at.String(), "application/json", bytes.NewReader(body))
	if err != nil {
		return &types.HostCommunication{}
	}
	answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusConflict:
		return &types.DuplicateName{Name: vm.Name, Object: vm.Self}
	default:
		return &types.HostCommunication{}
	}
	w.mu.Lock()
	each := w.kept.Guests[vm.Name]
	each.Moving, each.Gone, each.Adopted = nil, true, nil
	w.changed[vm.Name] = true
	delete(w.vms, vm.Name)
	delete(w.byRef, vm.Self)
	w.mu.Unlock()
	simulator.Map.Remove(vm.Self)
	return nil
}

const arrivals = "/arrivals"

// The same guest again is the same guest.
func (w *world) serveArrival(answer http.ResponseWriter, r *http.Request, login *url.Userinfo) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var said arrival
	password, _ := login.Password()
	if err != nil || json.Unmarshal(body, &said) != nil || said.User != login.Username() || said.Password != password {
		http.Error(answer, "", http.StatusForbidden)
		return
	}
	host, isHost := simulator.Map.Get(said.Host).(*simulator.HostSystem)
	store, isStore := simulator.Map.Get(said.Store).(*simulator.Datastore)
	if !isHost || !isStore {
		http.Error(answer, "", http.StatusNotFound)
		return
	}
	w.mu.Lock()
	before := w.vms[said.Name]
	w.mu.Unlock()
	if before != nil {
		if before.Config.InstanceUuid != said.Instance {
			http.Error(answer, "", http.StatusConflict)
		}
		return
	}
	w.adopt(said.Name, kept{Host: host.Name, Datastore: store.Name, Tasks: said.Tasks, Adopted: &adopted{Instance: said.Instance, Uuid: said.Uuid}})
	if err := w.save(); err != nil {
		http.Error(answer, err.Error(), http.StatusInternalServerError)
	}
}

// What is kept of a guest that this inventory did not begin with.
type adopted struct {
	Instance string `json:"instance"`
	Uuid     string `json:"uuid"`
}

// It has the devices and the size that guests have here, which are the same at all simulators.
func (w *world) adopt(name string, facts kept) {
	pattern := simulator.Map.Any("VirtualMachine").(*VM)
	vm := &VM{VirtualMachine: pattern.VirtualMachine, world: w}
	config := *pattern.Config
	config.Name, config.InstanceUuid, config.Uuid = name, facts.Adopted.Instance, facts.Adopted.Uuid
	vm.Config, vm.Name = &config, name
	vm.Self = ref{Type: "VirtualMachine", Value: "vm-" + facts.Adopted.Instance}
	vm.RecentTask, vm.DisabledMethod, vm.CustomValue, vm.Value = nil, nil, nil, nil
	summary := &vm.Summary
	summary.Vm = &vm.Self
	summary.Config.Name, summary.Config.InstanceUuid, summary.Config.Uuid = name, config.InstanceUuid, config.Uuid
	simulator.Map.Put(vm)
	w.mu.Lock()
	w.vms[name], w.byRef[vm.Self] = vm, name
	w.kept.Guests[name] = &facts
	w.changed[name] = true
	w.mu.Unlock()
	w.place(vm, facts.Host, facts.Datastore)
}

func (vm *VM) moveAway(spec types.VirtualMachineRelocateSpec) (ref, *soap.Fault) {
	if spec.Host == nil || spec.Datastore == nil {
		return ref{}, simulator.Fault("", &types.InvalidArgument{InvalidProperty: "spec"})
	}
	login, ok := spec.Service.Credential.(*types.ServiceLocatorNamePassword)
	if !ok {
		return ref{}, simulator.Fault("", &types.InvalidArgument{InvalidProperty: "spec.service.credential"})
	}
	to := &away{Url: spec.Service.Url, User: login.Username, Password: login.Password, Host: *spec.Host, Store: *spec.Datastore}
	return vm.begin("RelocateVM_Task", "VirtualMachine.relocate", course{
		to:    hostAt(*vm.Runtime.Host),
		away:  to,
		lacks: func() types.BaseMethodFault { return lacksElsewhere(vm, spec) },
	})
}
