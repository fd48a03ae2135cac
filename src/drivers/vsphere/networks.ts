import { textAt, type XmlElement, at } from '../../formats/xml.ts';
import type { VsphereClient } from './client.ts';
import { wordIn } from './inventory.ts';
import { unescapedName } from './names.ts';
import { group, ref, refIn, text, type Part, type Ref } from './soap.ts';

/** Networks of a guest's cards; another vCenter has them only under their names. */

const MAX_CARDS = 16;
const DISTRIBUTED = 'DistributedVirtualPortgroup';
const BY_NAME = 'VirtualEthernetCardNetworkBackingInfo';
const BY_PORT = 'VirtualEthernetCardDistributedVirtualPortBackingInfo';

export interface Card {
  readonly key: string;
  /** API type, such as VirtualVmxnet3. */
  readonly type: string;
  readonly label: string;
  /** Undefined for a card on an unsupported kind of network. */
  readonly network: string | undefined;
}

export interface Network {
  readonly ref: Ref;
  readonly name: string;
  /** Port group of a distributed switch. */
  readonly port?: { readonly switchUuid: string; readonly group: string };
}

export async function networksOf(
  client: VsphereClient,
  of: Ref,
  signal: AbortSignal,
): Promise<Network[]> {
  const [seen] = await client.retrieve([{ ref: of, properties: ['network'] }], signal);
  const refs = (seen?.properties.get('network')?.children ?? []).flatMap(
    (each) => refIn(each) ?? [],
  );
  const wanted = refs.map((each) => ({
    ref: each,
    properties:
      each.type === DISTRIBUTED ? ['name', 'key', 'config.distributedVirtualSwitch'] : ['name'],
  }));
  const networks = await client.retrieve(wanted, signal);
  const switches = await switchUuids(
    client,
    networks.flatMap(
      ({ properties }) => refIn(properties.get('config.distributedVirtualSwitch')) ?? [],
    ),
    signal,
  );
  return networks.map(({ ref: own, properties }) => {
    const name = unescapedName(wordIn(properties, 'name') ?? '');
    const key = wordIn(properties, 'key');
    const uuid = switches.get(
      refIn(properties.get('config.distributedVirtualSwitch'))?.value ?? '',
    );
    if (key === undefined || uuid === undefined) return { ref: own, name };
    return { ref: own, name, port: { switchUuid: uuid, group: key } };
  });
}

async function switchUuids(
  client: VsphereClient,
  refs: readonly Ref[],
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const each = new Map(refs.map((one) => [one.value, one]));
  const wanted = [...each.values()].map((one) => ({ ref: one, properties: ['uuid'] }));
  const seen = await client.retrieve(wanted, signal);
  return new Map(
    seen.flatMap(({ ref: { value }, properties }): [string, string][] => {
      const uuid = wordIn(properties, 'uuid');
      return uuid === undefined ? [] : [[value, uuid]];
    }),
  );
}

/** Cards in `config.hardware.device`. Pure. */
export function cardsIn(devices: readonly XmlElement[], networks: readonly Network[]): Card[] {
  const groups = new Map(networks.map(({ name, port }) => [port?.group, name]));
  return devices
    .flatMap((device): Card[] => {
      const [backing] = at(device, 'backing');
      const kind = backing?.attributes['xsi:type'] ?? '';
      const [key, type] = [textAt(device, 'key'), device.attributes['xsi:type']];
      if (backing === undefined || key === undefined || type === undefined) return [];
      if (!kind.startsWith('VirtualEthernetCard')) return [];
      const label = textAt(device, 'deviceInfo', 'label') ?? `network card ${key}`;
      return [{ key, type, label, network: networkOf(kind, backing, groups) }];
    })
    .slice(0, MAX_CARDS);
}

function networkOf(
  kind: string,
  backing: XmlElement,
  groups: ReadonlyMap<string | undefined, string>,
): string | undefined {
  if (kind === BY_NAME) return textAt(backing, 'deviceName');
  if (kind !== BY_PORT) return undefined;
  const group = textAt(backing, 'port', 'portgroupKey');
  return group === undefined ? undefined : groups.get(group);
}

/** `deviceChange` that moves a card to that network. Pure. */
export function cardOn({ key, type }: Card, { ref: network, name, port }: Network): Part {
  const backing =
    port === undefined
      ? group('backing', [text('deviceName', name), ref('network', network)], BY_NAME)
      : group(
          'backing',
          [group('port', [text('switchUuid', port.switchUuid), text('portgroupKey', port.group)])],
          BY_PORT,
        );
  return group('deviceChange', [
    text('operation', 'edit'),
    group('device', [text('key', key), backing], type),
  ]);
}
