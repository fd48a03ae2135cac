import { defined } from '../../../protocol/defined.ts';

/** Parses monitor texts without a QMP equivalent in every supported version. Pure. */

export interface RamBlock {
  readonly name: string;
  /** Maximum size, which must be equal at both ends. */
  readonly bytes: number;
}

/** Parses `info ramblock`: one line per block, name first, hexadecimal sizes. */
export function parseRamBlocks(text: string): RamBlock[] {
  const blocks: RamBlock[] = [];
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*(\S+)\s+\d+ \S+\s+0x[0-9a-f]+\s+0x[0-9a-f]+\s+0x([0-9a-f]+)/i.exec(line);
    if (match?.[1] === undefined || match[2] === undefined) continue;
    blocks.push({ name: match[1], bytes: Number.parseInt(match[2], 16) });
  }
  return blocks;
}

export function parsePageSizes(text: string): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  for (const line of text.split(/\r?\n/)) {
    const [, name, number, unit = ''] = /^\s*(\S+)\s+(\d{1,6}) ([KMG])iB\s/.exec(line) ?? [];
    if (name !== undefined) sizes.set(name, Number(number) * 1024 ** ('KMG'.indexOf(unit) + 1));
  }
  return sizes;
}

export function parseUsbPorts(text: string): ReadonlyMap<string, string> {
  const found = [...text.matchAll(/^ *Device [\d.]+, Port ([\d.]+), .*, ID: (\S+)\r?$/gm)];
  return new Map(found.map(([, port = '', id = '']) => [id, port]));
}

export interface BackendLine {
  readonly id: string;
  readonly type: string;
  readonly ifname?: string;
  readonly fd?: number;
  readonly hubid?: number;
}

/**
 * Parses `info network`: `n0: index=0,type=tap,ifname=tap0,...`, peers indented by ` \ `. Below `hub 0` each
 * line is a port, followed by its peer.
 */
export function parseNetwork(text: string): BackendLine[] {
  const found: BackendLine[] = [];
  let hub: number | undefined;
  for (const line of text.split(/\r?\n/)) {
    const header = /^hub (\d+)/.exec(line)?.[1];
    if (header !== undefined) hub = Number(header);
    else if (/^\S/.test(line)) hub = undefined;
    const port = hub === undefined ? undefined : /^ \\ ([^\s:]+)/.exec(line)?.[1];
    if (port !== undefined && hub !== undefined) {
      found.push({ id: port, type: 'hubport', hubid: hub });
      continue;
    }
    const match = /^\s*(?:\\\s+)?([^\s:]+): index=\d+,type=([a-z0-9-]+)(.*)$/s.exec(line);
    if (match?.[1] === undefined || match[2] === undefined) continue;
    const ifname = /(?:^|,)ifname=([^,\s]+)/.exec(match[3] ?? '')?.[1];
    const fd = /(?:^|,)fd=(\d{1,9})(?=,|\s|$)/.exec(match[3] ?? '')?.[1];
    found.push({
      id: match[1],
      type: match[2],
      ...defined({ ifname }),
      ...(fd === undefined ? {} : { fd: Number(fd) }),
    });
  }
  return found;
}
