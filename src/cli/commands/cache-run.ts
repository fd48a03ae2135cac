import { godwitError } from '../../errors.ts';
import { defined } from '../../protocol/defined.ts';
import type { CacheStatus } from '../../protocol/public/cache.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import { printJson } from '../context.ts';
import type { Endpoint, AgentSet } from '../agent-set.ts';
import { contextPainter, printView } from '../render/paint.ts';
import { printable, type Painter } from '../../words/style.ts';
import { renderPairs } from '../../words/table.ts';
import type { Run } from '../verb.ts';
import type { cachePruneSpec, cacheSeedSpec, cacheStatusSpec } from './cache.ts';

const SEED_MS = 3_600_000;
const PRUNE_MS = 120_000;

interface HostEndpoint extends Endpoint {
  readonly host: string;
}

export const status: Run<typeof cacheStatusSpec> = async (input, context) => {
  const fleet = await context.connect(input.connection);
  try {
    const { on } = input.flags;
    const asked = on === undefined ? await hostsOf(fleet) : [await theHost(fleet, on)];
    const hosts: ({ host: string } & CacheStatus)[] = [];
    for (const { host, api } of asked) hosts.push({ host, ...(await api.cache()) });
    if (input.json) return printJson(context, { hosts });
    const paint = contextPainter(context);
    printView(context, hosts.map((each) => statusText(each, paint)).join('\n'));
  } finally {
    fleet.close();
  }
};

export const seed: Run<typeof cacheSeedSpec> = async (input, context) => {
  const fleet = await context.connect(input.connection);
  try {
    const { host, api } = await theHost(fleet, input.flags.on);
    const { guest, tenant } = input.flags;
    const body = {
      file: input.args.file,
      ...defined({ guest, tenant }),
    };
    const answer = await api.seedCache({ body }, { deadlineMs: SEED_MS });
    if (input.json) return printJson(context, { host, ...answer });
    context.out.write(
      `${host}: ${answer.pages} pages of ${printable(answer.file)} need not travel\n`,
    );
  } finally {
    fleet.close();
  }
};

export const prune: Run<typeof cachePruneSpec> = async (input, context) => {
  const fleet = await context.connect(input.connection);
  try {
    const { host, api } = await theHost(fleet, input.flags.on);
    const body = { bytes: input.flags.to ?? 0 };
    const answer = await api.pruneCache({ body }, { deadlineMs: PRUNE_MS });
    if (input.json) return printJson(context, { host, ...answer });
    const { freedBytes, bytes } = answer;
    context.out.write(`${host}: ${formatBytes(freedBytes)} freed, ${formatBytes(bytes)} left\n`);
  } finally {
    fleet.close();
  }
};

/** The agents that this command line may speak to, each with the name of its host. */
async function hostsOf(fleet: AgentSet): Promise<HostEndpoint[]> {
  const found: HostEndpoint[] = [];
  for (const endpoint of fleet.endpoints) {
    const { hosts } = await endpoint.api.hosts();
    const host = hosts.find(({ self }) => self)?.name;
    if (host !== undefined) found.push({ ...endpoint, host });
  }
  return found;
}

/** The one that is meant; where several could be, it must be named. */
async function theHost(fleet: AgentSet, on: string | undefined): Promise<HostEndpoint> {
  const all = await hostsOf(fleet);
  const [first, second] = on === undefined ? all : all.filter(({ host }) => host === on);
  const names = all.map(({ host }) => host);
  if (first === undefined) {
    const near = didYouMean(on ?? '', names);
    const hint = `${near ?? ''} This command line speaks to ${names.join(', ')}.`.trim();
    throw godwitError('GODWIT_HOST_UNKNOWN', { host: (on ?? '').slice(0, 80) }, { hint });
  }
  if (second === undefined) return first;
  const what = `which host’s cache is meant: ${names.join(', ')}?`;
  throw godwitError('GODWIT_USAGE', { what }, { hint: 'Name it with --on.' });
}

function statusText(status: { readonly host: string } & CacheStatus, paint: Painter): string {
  const { host, directory, bytes, mostBytes, scope, unusable, pages, seeds, guests } = status;
  const pairs: [string, string][] = [
    ['directory', directory],
    ['shared by', scope],
    ['kept', `${formatBytes(bytes)} of at most ${formatBytes(mostBytes)}, ${pages} pages`],
    ...(unusable === undefined ? [] : [['unusable', unusable] as [string, string]]),
    ...seeds.map(({ file, pages: indexed, changed }): [string, string] => {
      const note = changed ? ', changed since: seed it again' : '';
      return ['seed', `${file} (${indexed} pages${note})`];
    }),
    ['knows', guests.join(', ') || 'no guest'],
  ];
  return `${paint.bold(host)}\n${renderPairs(pairs, paint)}`;
}
