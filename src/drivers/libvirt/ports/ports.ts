import { at, type XmlElement } from '../../../formats/xml.ts';

/** The ports of a domain's NICs on its host, and the settings of them that libvirt itself makes at each host. Pure. */
export interface DomainPort {
  readonly nic: string;
  readonly mac: string;
  /** `vnet0` */
  readonly port: string;
  /** The bridge that the port joins at each host, even if a network of libvirt names it. Absent: the XML has no bridge. */
  readonly bridge?: string;
  /** `<port isolated='yes'/>` */
  readonly isIsolated: boolean;
  readonly hasVlan: boolean;
  /** Bytes; absent: the bridge's. */
  readonly mtu?: number;
  /** libvirt limits its rate with `tc`. */
  readonly hasBandwidth: boolean;
  /** libvirt makes rules of the packet filter for it (nwfilter). */
  readonly hasFilter: boolean;
  /** libvirt turns learning and flooding off, and enters the NIC's MAC (`macTableManager='libvirt'`). */
  readonly keepsMacs: boolean;
}

/** A NIC that does not run has no port; one of vhost-user or of user mode has no link of the host. */
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
