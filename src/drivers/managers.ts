/** Managers that a controller takes by their address, each by the name of its driver. */
export const MANAGER_KINDS = {
  vsphere: { product: 'a vCenter', example: 'https://vc1.example.com' },
  hyperv: {
    product: 'a Hyper-V host, by its WinRM',
    example: 'https://hv1.example.com:5986/wsman',
  },
} as const;
export type ManagerKind = keyof typeof MANAGER_KINDS;
