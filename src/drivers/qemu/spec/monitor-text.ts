/** Reads the monitor's texts that have no QMP counterpart in every supported version. Pure. */

export interface RamBlock {
  readonly name: string;
  /** The most it can hold; what both ends must agree on. */
  readonly bytes: number;
}

/** `info ramblock`: one line a block, the name first, sizes in hexadecimal. */
export function parseRamBlocks(text: string): RamBlock[] {
  const blocks: RamBlock[] = [];
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*(\S+)\s+\d+ \S+\s+0x[0-9a-f]+\s+0x[0-9a-f]+\s+0x([0-9a-f]+)/i.exec(line);
    if (match?.[1] === undefined || match[2] === undefined) continue;
    blocks.push({ name: match[1], bytes: Number.parseInt(match[2], 16) });
  }
  return blocks;
}

/** A network backend, or a NIC, in `info network`. */
export interface BackendLine {
  readonly id: string;
  readonly type: string;
  readonly ifname?: string;
}

/** `info network`: `n0: index=0,type=tap,ifname=tap0,...`, peers indented by ` \ `. */
export function parseNetwork(text: string): BackendLine[] {
  const found: BackendLine[] = [];
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*(?:\\\s+)?([^\s:]+): (?:.*: )?index=\d+,type=([a-z0-9-]+)(.*)$/.exec(line);
    if (match?.[1] === undefined || match[2] === undefined) continue;
    const ifname = /(?:^|,)ifname=([^,\s]+)/.exec(match[3] ?? '')?.[1];
    found.push({ id: match[1], type: match[2], ...(ifname === undefined ? {} : { ifname }) });
  }
  return found;
}
