/**
 * What Proxmox's q35 machines are given by -readconfig: two USB 2 controllers with their companions, sound, four root ports,
 * and four PCI bridges behind one. Made from rows, as that file has them.
 */
type Row = readonly [id: string, driver: string, props: Readonly<Record<string, string | number>>];

const companions = (controller: number): Row[] => {
  const name = controller === 1 ? 'ehci' : 'ehci-2';
  const slot = controller === 1 ? '1d' : '1a';
  const at = { multifunction: 'on', bus: 'pcie.0' };
  return [
    [name, `ich9-usb-ehci${controller}`, { ...at, addr: `${slot}.7` }],
    ...[0, 1, 2].map((each): Row => {
      const number = 3 * (controller - 1) + each + 1;
      const ports = { masterbus: `${name}.0`, firstport: 2 * each };
      return [
        `uhci-${number}`,
        `ich9-usb-uhci${number}`,
        { ...at, addr: `${slot}.${each}`, ...ports },
      ];
    }),
  ];
};

const ROWS: readonly Row[] = [
  ...companions(1),
  ...companions(2),
  ['audio0', 'ich9-intel-hda', { bus: 'pcie.0', addr: '1b.0' }],
  ...[1, 2, 3, 4].map((each): Row => {
    const link = { 'x-speed': '16', 'x-width': '32', multifunction: 'on', bus: 'pcie.0' };
    const own = { addr: `1c.${each - 1}`, port: each, chassis: each };
    return [`ich9-pcie-port-${each}`, 'pcie-root-port', { ...link, ...own }];
  }),
  ['pcidmi', 'i82801b11-bridge', { bus: 'pcie.0', addr: '1e.0' }],
  ...[1, 2, 3, 4].map((each): Row => {
    return [
      `pci.${each - 1}`,
      'pci-bridge',
      { bus: 'pcidmi', addr: `${each}.0`, chassis_nr: each },
    ];
  }),
];

export const PVE_Q35 = ROWS.map(([id, driver, props]) => {
  const lines = Object.entries({ driver, ...props }).map(([key, value]) => `  ${key} = "${value}"`);
  return `[device "${id}"]\n${lines.join('\n')}\n`;
}).join('\n');
