import { KINDS, choice, pattern, type Kind, type KindName } from './kinds.ts';

/** Options with typed records: SMBIOS tables and NUMA nodes, without file names. Pure. */
interface Keys {
  readonly keys: ReadonlyMap<string, Kind>;
  readonly repeated?: ReadonlySet<string>;
}

export const SMBIOS: ReadonlyMap<string, Keys> = new Map([
  ['0', { keys: ofKind('text', 'vendor version date release', 'switch', 'uefi') }],
  ['1', { keys: ofKind('text', 'manufacturer product version serial sku family', 'uuid', 'uuid') }],
  ['2', { keys: ofKind('text', 'manufacturer product version serial asset location') }],
  ['3', { keys: ofKind('text', 'manufacturer version serial asset sku') }],
  [
    '4',
    {
      keys: ofKind(
        ...(['text', 'sock_pfx manufacturer version serial asset part'] as const),
        ...(['u16', 'max-speed current-speed processor-family', 'u64', 'processor-id'] as const),
      ),
    },
  ],
  [
    '8',
    {
      keys: ofKind(
        ...(['text', 'internal_reference external_reference'] as const),
        ...(['u8', 'connector_type port_type'] as const),
      ),
    },
  ],
  [
    '9',
    {
      keys: ofKind(
        ...([
          'text',
          'slot_designation',
          'u8',
          'slot_type slot_data_bus_width current_usage',
        ] as const),
        ...(['u16', 'slot_length slot_id slot_characteristics1 slot_characteristics2'] as const),
        ...(['bus', 'pcidev'] as const),
      ),
    },
  ],
  ['11', { keys: ofKind('text', 'value'), repeated: new Set(['value']) }],
  ['17', { keys: ofKind('text', 'loc_pfx bank manufacturer serial asset part', 'u16', 'speed') }],
  ['41', { keys: ofKind('text', 'designation', 'u8', 'kind instance', 'bus', 'pcidev') }],
]);

export const NUMA: ReadonlyMap<string, Keys> = new Map([
  [
    'node',
    {
      keys: ofKind('u16', 'nodeid initiator', 'cpus', 'cpus', 'size', 'mem', 'memdev', 'memdev'),
      repeated: new Set(['cpus']),
    },
  ],
  ['dist', { keys: ofKind('u16', 'src dst val') }],
  [
    'cpu',
    {
      keys: ofKind(
        'u16',
        'node-id drawer-id book-id socket-id die-id module-id core-id thread-id cluster-id',
      ),
    },
  ],
  [
    'hmat-lb',
    {
      keys: new Map<string, Kind>([
        ...ofKind('u16', 'initiator target', 'size', 'bandwidth latency'),
        ['hierarchy', choice('memory first-level second-level third-level')],
        [
          'data-type',
          pattern('which access it is about', /^(access|read|write)-(latency|bandwidth)$/),
        ],
      ]),
    },
  ],
  [
    'hmat-cache',
    {
      keys: new Map<string, Kind>([
        ...ofKind('u16', 'node-id level line', 'size', 'size'),
        ['associativity', choice('none direct complex')],
        ['policy', choice('none write-back write-through')],
      ]),
    },
  ],
]);

/** `'u8', 'one two', 'text', 'three'`: each kind is followed by its names. */
function ofKind(...pairs: readonly string[]): ReadonlyMap<string, Kind> {
  const all = new Map<string, Kind>();
  for (let at = 0; at < pairs.length; at += 2) {
    for (const name of (pairs[at + 1] ?? '').split(' '))
      all.set(name, KINDS[pairs[at] as KindName]);
  }
  return all;
}
