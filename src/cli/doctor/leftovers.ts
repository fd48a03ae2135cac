import { godwitError } from '../../errors.ts';
import type { ClearedList, Leftover } from '../../protocol/public/leftover.ts';
import { printJson, type Context, type ConnectionFlags } from '../context.ts';
import type { Endpoint } from '../connection/agent-set.ts';
import { contextPainter, printView } from '../render/paint.ts';
import { printable, type Painter } from '../../words/style.ts';

const CLEAR_MS = 120_000;

interface HostLeftovers {
  readonly host: string;
  readonly leftovers?: readonly Leftover[];
  readonly cleared?: readonly Leftover[];
  readonly left?: ClearedList['left'];
}

/** `godwit doctor --leftovers`: queries the available agents, each about its own host. Exit 0 if all answered. */
export async function leftovers(
  context: Context,
  connection: ConnectionFlags,
  clear: boolean,
  json: boolean,
): Promise<number> {
  const fleet = await context.connect(connection);
  try {
    const hosts: HostLeftovers[] = [];
    for (const endpoint of fleet.endpoints) hosts.push(await askOne(endpoint, clear));
    if (json) printJson(context, { hosts });
    else printView(context, leftoversText(hosts, contextPainter(context)));
    return 0;
  } finally {
    fleet.close();
  }
}

async function askOne({ api }: Endpoint, clear: boolean): Promise<HostLeftovers> {
  const { hosts } = await api.hosts();
  const host = hosts.find(({ self }) => self)?.name;
  if (host === undefined) {
    throw godwitError('GODWIT_INTERNAL', { what: 'an agent that does not name its own host' });
  }
  if (!clear) return { host, ...(await api.leftovers()) };
  return { host, ...(await api.clearLeftovers({}, { deadlineMs: CLEAR_MS })) };
}

export function leftoversText(hosts: readonly HostLeftovers[], paint: Painter): string {
  const lines = hosts.flatMap(({ host, leftovers: found = [], cleared = [], left = [] }) => {
    const all = [
      ...found.map((each) => ({
        mark: each.safe ? paint.green('safe') : paint.yellow('keep'),
        each,
      })),
      ...cleared.map((each) => ({ mark: paint.green('cleared'), each })),
      ...left.map((each) => ({ mark: paint.yellow('left'), each })),
    ];
    if (all.length === 0) return [`${host}: nothing is left over`];
    return [
      `${host}:`,
      ...all.flatMap(({ mark, each }) => [
        `  ${mark}  ${each.kind}  ${printable(each.what)}`,
        `        ${paint.dim(printable(reason(each)))}`,
      ]),
    ];
  });
  const safe = hosts.flatMap(({ leftovers: found = [] }) => found.filter((each) => each.safe));
  const hint =
    safe.length === 0 ? [] : ['', `${safe.length} can go: godwit doctor --leftovers --clear`];
  return `${[...lines, ...hint].join('\n')}\n`;
}

function reason(each: Leftover & { readonly failed?: string | undefined }): string {
  return each.failed === undefined ? each.why : `could not be cleared: ${each.failed}`;
}
