/** What helps where a guest is to go to another hypervisor, which none of the managers can do. */
export const CONVERSION_HINT =
  'To a host of another hypervisor a guest goes shut down and converted (`virt-v2v` to KVM), not by Godwit.';
