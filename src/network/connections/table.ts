import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { withDeadline } from '../../deadline.ts';
import { godwitError } from '../../errors.ts';
import { MAX_CONNECTIONS, type Connection } from '../../protocol/peer/connections.ts';
import { networkTool } from '../ip.ts';
import {
  addLine,
  concerns,
  deleteAllLines,
  deleteLine,
  keyOf,
  parseEntries,
  type Entries,
} from './entries.ts';

/** This host's connection tracking, through the standard tool. */

const COUNT = '/proc/sys/net/netfilter/nf_conntrack_count';
const TOOL_MS = 5000;
/** Addresses of a guest; each costs two table walks. */
const MAX_ADDRESSES = 16;
/** Up to this many are deleted one by one. */
export const FEW = 16;
/** Maximum size of a table that is read as a whole to find a guest's connections. */
const MAX_TO_SEARCH = 16_384;

/** Number of tracked connections; 0 without tracking. Starts no program. */
export async function trackedHere(): Promise<number> {
  const text = await readFile(COUNT, 'utf8').catch(() => '0');
  const count = Number.parseInt(text, 10);
  return Number.isSafeInteger(count) ? count : 0;
}

/** Entries with one of these addresses. GODWIT_HOST_LACKS without the tool. */
export async function readConnections(
  addresses: readonly string[],
  signal: AbortSignal,
): Promise<Entries> {
  const wanted = new Set(addresses.slice(0, MAX_ADDRESSES));
  const found = new Map<string, Connection>();
  let leftOut = 0;
  for (const address of wanted) {
    const family = address.includes(':') ? 'ipv6' : 'ipv4';
    // Connections from it and to it, including translated addresses.
    for (const end of ['-s', '-r']) {
      const table = parseEntries(await list(['-f', family, end, address], signal));
      leftOut += table.leftOut;
      for (const entry of table.entries) {
        if (!concerns(entry, wanted)) continue;
        if (found.size < MAX_CONNECTIONS || found.has(keyOf(entry))) found.set(keyOf(entry), entry);
        else leftOut += 1;
      }
    }
  }
  return { entries: [...found.values()], leftOut };
}

/** All addresses in the table; those with the most connections first. GODWIT_HOST_LACKS if the table is too long. */
export async function addressesTracked(signal: AbortSignal): Promise<string[]> {
  const count = await trackedHere();
  if (count === 0) return [];
  if (count > MAX_TO_SEARCH) {
    const what = `a table of connections that is short enough to be searched (it has ${count})`;
    throw godwitError('GODWIT_HOST_LACKS', { what });
  }
  const addresses = new Map<string, number>();
  for (const family of ['ipv4', 'ipv6']) {
    const { entries } = parseEntries(await list(['-f', family], signal));
    for (const { original, reply } of entries) {
      for (const each of new Set([original.from, original.to, reply.from, reply.to]))
        addresses.set(each, (addresses.get(each) ?? 0) + 1);
    }
  }
  return [...addresses].toSorted(([, one], [, other]) => other - one).map(([each]) => each);
}

/**
 * Deletes some of a guest's entries and adds others. Deleting one walks the whole table (4 ms here), so for many, all
 * of the guest's are deleted and the remaining ones added again.
 */
export async function replaceConnections(
  addresses: readonly string[],
  out: readonly Connection[],
  put: readonly Connection[],
  signal: AbortSignal,
): Promise<void> {
  if (out.length <= FEW) return load([...out.map(deleteLine), ...put.map(addLine)], signal);
  const { entries } = await readConnections(addresses, signal);
  const others = new Set([...out, ...put].map(keyOf));
  const staying = entries.filter((entry) => !others.has(keyOf(entry)));
  const all = deleteAllLines(addresses.slice(0, MAX_ADDRESSES));
  return load([...all, ...[...staying, ...put].map(addLine)], signal);
}

async function load(lines: readonly string[], signal: AbortSignal): Promise<void> {
  if (lines.length === 0) return;
  // A file, because the tool opens its standard input by name.
  const directory = await mkdtemp(path.join(tmpdir(), 'godwit-connections-'));
  try {
    const file = path.join(directory, 'lines');
    await writeFile(file, `${lines.join('\n')}\n`, { mode: 0o600 });
    await conntrack(['-R', file], signal);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function list(words: readonly string[], signal: AbortSignal): Promise<string> {
  return conntrack(['-L', '-o', 'extended', ...words], signal);
}

async function conntrack(words: readonly string[], signal: AbortSignal): Promise<string> {
  return withDeadline('conntrack', TOOL_MS, signal, async (inner) => {
    const { status, output, reason } = await networkTool('conntrack', words, inner);
    if (status === 0) return output;
    if (/not permitted|denied/i.test(reason)) {
      throw godwitError('GODWIT_PRIVILEGE', {
        what: 'the table of connections',
        needs: 'CAP_NET_ADMIN',
      });
    }
    const why = reason === '' ? 'its answer is too long' : reason.slice(0, 200);
    throw godwitError('GODWIT_HOST_LACKS', {
      what: `what it takes for \`conntrack ${words[0]}\` (conntrack-tools of 1.4.7 or later): ${why}`,
    });
  });
}
