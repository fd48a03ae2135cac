package main

import (
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// What modes have of a processor. The names are vSphere's; the lists are shorter than real ones.
var evcModes = []struct {
	key, vendor, features string
	tier                  int32
}{
	{"intel-sandybridge", "intel", "cpuid.Intel,cpuid.AES,cpuid.AVX", 5},
	{"intel-broadwell", "intel", "cpuid.Intel,cpuid.AES,cpuid.AVX,cpuid.AVX2,cpuid.RDSEED", 8},
	{"intel-skylake", "intel", "cpuid.Intel,cpuid.AES,cpuid.AVX,cpuid.AVX2,cpuid.RDSEED,cpuid.AVX512F", 9},
	{"amd-zen", "amd", "cpuid.AMD,cpuid.AES,cpuid.AVX,cpuid.AVX2,cpuid.RDSEED", 7},
}

const hostFeatures = "cpuid.Intel,cpuid.AES,cpuid.AVX,cpuid.AVX2,cpuid.RDSEED,cpuid.AVX512F"

// Features by commas; one of these is listed as not there, as hosts list what they lack, and the stepping as a number.
func capabilities(features string) []types.HostFeatureCapability {
	// As of a host whose features the vCenter does not show.
	if features == "none" {
		return nil
	}
	found := []types.HostFeatureCapability{
		{Key: "cpuid.STEPPING", FeatureName: "cpuid.STEPPING", Value: "4"},
		{Key: "cpuid.SSE4A", FeatureName: "cpuid.SSE4A", Value: "0"},
	}
	for _, each := range strings.Split(features, ",") {
		if each != "" {
			found = append(found, types.HostFeatureCapability{Key: each, FeatureName: each, Value: "1"})
		}
	}
	return found
}

// Features by commas that a guest uses, and a number, as guests list it.
func requirements(features string) []types.VirtualMachineFeatureRequirement {
	found := []types.VirtualMachineFeatureRequirement{{Key: "cpuid.NUMLEVELS", FeatureName: "cpuid.NUMLEVELS", Value: "Num:Min:13"}}
	for _, each := range strings.Split(features, ",") {
		if each != "" {
			found = append(found, types.VirtualMachineFeatureRequirement{Key: each, FeatureName: each, Value: "Bool:Min:1"})
		}
	}
	return found
}

func knowEvcModes() {
	service := simulator.Map.Get(ref{Type: "ServiceInstance", Value: "ServiceInstance"}).(*simulator.ServiceInstance)
	for _, each := range evcModes {
		mode := types.EVCMode{Vendor: each.vendor, VendorTier: each.tier, FeatureCapability: capabilities(each.features)}
		mode.Key, mode.Label = each.key, each.key
		service.Capability.SupportedEVCMode = append(service.Capability.SupportedEVCMode, mode)
	}
}
