package main

import (
	"fmt"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// What a cluster does by itself: DRS and DPM, as ClusterConfigInfoEx has them.

func configure(name string, change func(config *types.ClusterConfigInfoEx)) error {
	for _, each := range simulator.Map.All("ClusterComputeResource") {
		cluster := each.(*simulator.ClusterComputeResource)
		if cluster.Name != name {
			continue
		}
		config := *cluster.ConfigurationEx.(*types.ClusterConfigInfoEx)
		change(&config)
		simulator.Map.WithLock(cluster, func() {
			simulator.Map.Update(cluster, []types.PropertyChange{{Name: "configurationEx", Val: &config}})
		})
		return nil
	}
	return fmt.Errorf("no cluster is called %s", name)
}

// What DRS does in a cluster: off, manual, partiallyAutomated or fullyAutomated; with a guest's name: for that guest alone.
func setDrs(name, guest, level string) error {
	return configure(name, func(config *types.ClusterConfigInfoEx) {
		if guest == "" {
			config.DrsConfig.Enabled = types.NewBool(level != "off")
			if level != "off" {
				config.DrsConfig.DefaultVmBehavior = types.DrsBehavior(level)
			}
			return
		}
		for _, one := range simulator.Map.All("VirtualMachine") {
			if vm := one.(*VM); vm.Name == guest {
				own := types.ClusterDrsVmConfigInfo{Key: vm.Self, Enabled: types.NewBool(true), Behavior: types.DrsBehavior(level)}
				config.DrsVmConfig = append(config.DrsVmConfig, own)
			}
		}
	})
}

// What DPM does in a cluster: off, manual or automated; with a host's name: for that host alone.
func setDpm(name, host, level string) error {
	return configure(name, func(config *types.ClusterConfigInfoEx) {
		if host == "" {
			said := types.ClusterDpmConfigInfo{Enabled: types.NewBool(level != "off"), HostPowerActionRate: 3}
			if level != "off" {
				said.DefaultDpmBehavior = types.DpmBehavior(level)
			}
			config.DpmConfigInfo = &said
			return
		}
		for _, one := range simulator.Map.All("HostSystem") {
			if each := one.(*simulator.HostSystem); each.Name == host {
				own := types.ClusterDpmHostConfigInfo{Key: each.Self, Enabled: types.NewBool(level != "off")}
				if level != "off" {
					own.Behavior = types.DpmBehavior(level)
				}
				config.DpmHostConfig = append(config.DpmHostConfig, own)
			}
		}
	})
}
