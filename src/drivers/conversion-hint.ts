/** Hint for a move to another hypervisor, which no manager supports. */
export const CONVERSION_HINT =
  'To a host of another hypervisor a guest goes shut down and converted (`virt-v2v` to KVM), not by Godwit.';
