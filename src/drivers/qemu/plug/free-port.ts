import { z } from 'zod';

/** Hot-plug port for a PCI device, on a machine whose root bus has no hot-plug. Pure. */

interface PciDevice {
  readonly qdev_id?: string | undefined;
  readonly class_info: { readonly class: number };
  readonly pci_bridge?: { readonly devices?: readonly PciDevice[] | undefined } | undefined;
}

const pciDevice: z.ZodType<PciDevice> = z.lazy(() =>
  z.object({
    qdev_id: z.string().max(1024).optional(),
    class_info: z.object({ class: z.number() }),
    pci_bridge: z.object({ devices: z.array(pciDevice).max(256).optional() }).optional(),
  }),
);

export const pciBuses = z.array(z.object({ devices: z.array(pciDevice).max(256) })).max(256);

const PCI_BRIDGE = 0x06_04;

/** Id of the first empty port (pcie-root-port), which is also the name of its bus. */
export function freePort(buses: z.infer<typeof pciBuses>): string | undefined {
  const ports = buses.flatMap(({ devices }) => devices).filter(isPort);
  return ports.find(({ pci_bridge: bridge }) => (bridge?.devices ?? []).length === 0)?.qdev_id;
}

function isPort({ class_info: { class: kind }, qdev_id: id, pci_bridge: bridge }: PciDevice) {
  return kind === PCI_BRIDGE && bridge !== undefined && id !== undefined && id !== '';
}
