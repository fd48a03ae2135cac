import { at, type XmlElement } from '../../../formats/xml.ts';

/** Ports of a domain's NICs, with the settings that libvirt makes at each host. Pure. */
export interface DomainPort {
  readonly nic: string;
  readonly mac: string;
  readonly port: string;
  /** Bridge of the port at each host, even if the XML names a libvirt network. Absent: the XML has no bridge. */
  readonly bridge?: string;
  /** `<port isolated='yes'/>` */
  readonly isIsolated: boolean;
  readonly hasVlan: boolean;
  /** Bytes; absent: the bridge's MTU. */
  readonly mtu?: number;
  /** libvirt limits its rate with `tc`. */
  readonly hasBandwidth: boolean;
  /** libvirt creates packet filter rules for it (nwfilter). */
  readonly hasFilter: boolean;
  /** libvirt disables learning and flooding and enters the NIC's MAC (`macTableManager='libvirt'`). */
  readonly keepsMacs: boolean;
}

/** An inactive NIC has no port; a vhost-user or user-mode NIC has no host link. */
export function domainPort(element: XmlElement, nic: string): DomainPort[] {
  const port = at(element, 'target')[0]?.attributes['dev'];
  const mac = at(element, 'mac')[0]?.attributes['address'];
  if (port === undefined || mac === undefined) return [];
  const has = (name: string): boolean => at(element, name).length > 0;
  const source = at(element, 'source')[0]?.attributes;
  const bridge = source?.['bridge'];
  const mtu = Number(at(element, 'mtu')[0]?.attributes['size'] ?? Number.NaN);
  return [
    {
      nic,
      mac: mac.toLowerCase(),
      port,
      ...(bridge === undefined ? {} : { bridge }),
      isIsolated: at(element, 'port')[0]?.attributes['isolated'] === 'yes',
      hasVlan: has('vlan'),
      ...(Number.isInteger(mtu) ? { mtu } : {}),
      hasBandwidth: has('bandwidth'),
      hasFilter: has('filterref'),
      keepsMacs: source?.['macTableManager'] === 'libvirt',
    },
  ];
}
