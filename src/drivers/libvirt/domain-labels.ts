import { at, textAt, type XmlElement } from '../../formats/xml.ts';

/** What whoever has defined a domain says of it in its metadata: names that people look for. Pure. */

const MAX_VALUE = 256;

/** Label -> where it lies below `metadata`; of an element without text its attribute `name` or `id` counts. */
const PLACES: Readonly<Record<string, readonly string[]>> = {
  'libvirt/os': ['libosinfo', 'os'],
  'nova/name': ['instance', 'name'],
  'nova/flavor': ['instance', 'flavor'],
  'nova/project': ['instance', 'owner', 'project'],
  'kubevirt/uid': ['kubevirt', 'uid'],
  'ovirt/cluster-version': ['vm', 'clusterVersion'],
};

export function domainLabels(root: XmlElement): Record<string, string> {
  const metadata = at(root, 'metadata')[0];
  const title = textAt(root, 'title');
  const found = Object.entries(PLACES).map(([label, place]): [string, string | undefined] => [
    label,
    metadata === undefined ? undefined : valueAt(metadata, place),
  ]);
  return Object.fromEntries(
    [['libvirt/title', title] as const, ...found]
      .flatMap(([label, value]) => (value === undefined ? [] : [[label, plain(value)] as const]))
      .filter(([, value]) => value !== ''),
  );
}

function valueAt(metadata: XmlElement, place: readonly string[]): string | undefined {
  const [element] = at(metadata, ...place);
  if (element === undefined) return undefined;
  const { name, id } = element.attributes;
  return element.text === '' ? (name ?? id) : element.text;
}

function plain(value: string): string {
  return value
    .replaceAll(/\p{Cc}/gu, ' ')
    .trim()
    .slice(0, MAX_VALUE);
}
