import { z } from 'zod';
import { defined } from '../../protocol/defined.ts';
import type { HostInfo } from '../../protocol/public/hosts/host.ts';
import { jsonOf } from '../../formats/json.ts';

/** Parses texts of the kernel and iproute2. Pure. */

type Link = HostInfo['links'][number];

/** /proc/cpuinfo: the first processor stands for all; `cores` counts the listed ones. */
export function parseProcessor(text: string): HostInfo['processor'] {
  const value = (name: string): string =>
    new RegExp(`^${name}\\s*:\\s*(.*)$`, 'm').exec(text)?.[1]?.trim() ?? '';
  const features = value('flags') || value('Features');
  return {
    model: value('model name') || value('CPU part') || 'unknown',
    cores: text.match(/^processor\s*:/gm)?.length ?? 0,
    features: features === '' ? [] : features.split(/\s+/).slice(0, 1024),
  };
}

const ipLinks = z.array(
  z.object({
    ifname: z.string(),
    mtu: z.number().default(0),
    operstate: z.string().default('UNKNOWN'),
    flags: z.array(z.string()).default([]),
    link_type: z.string().default(''),
    master: z.string().optional(),
    linkinfo: z.object({ info_kind: z.string().optional() }).optional(),
    addr_info: z
      .array(z.object({ local: z.string().optional(), prefixlen: z.number().optional() }))
      .default([]),
  }),
);

export function parseLinks(text: string): Link[] {
  const parsed = ipLinks.safeParse(jsonOf(text));
  if (!parsed.success) return [];
  return parsed.data.slice(0, 4096).map((link) => ({
    name: link.ifname,
    kind: link.linkinfo?.info_kind ?? link.link_type,
    mtu: link.mtu,
    up: link.flags.includes('UP'),
    ...defined({ master: link.master }),
    addresses: link.addr_info
      .filter(({ local }) => local !== undefined)
      .slice(0, 64)
      .map(({ local, prefixlen }) => `${local}/${prefixlen ?? ''}`),
  }));
}

export function bridgesOf(links: readonly Link[]): string[] {
  return links
    .filter(({ kind }) => kind === 'bridge' || kind === 'openvswitch')
    .slice(0, 1024)
    .map(({ name }) => name);
}
