import { godwitError } from '../../errors.ts';
import { defined } from '../../protocol/defined.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import type { CacheStatus } from '../../protocol/public/cache.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import { printable, type Painter } from '../../words/style.ts';
import { renderPairs } from '../../words/table.ts';
import type { Endpoint, AgentSet } from '../connection/agent-set.ts';
import { printJson } from '../context.ts';
import { contextPainter, printView } from '../render/paint.ts';
import { spec, verb, type Flag, type Verb, type Run } from '../verb.ts';

const on = {
  kind: 'host',
  value: 'host',
  summary: 'the host of the cache (default: the host that is asked)',
} as const satisfies Flag;

const SEED_MS = 3_600_000;
const PRUNE_MS = 120_000;

interface HostEndpoint extends Endpoint {
  readonly host: string;
}

const cacheStatusSpec = spec({
  name: 'status',
  summary: 'show the cache of each host, with the files that it has indexed',
  flags: { on },
  examples: ['cache status', 'cache status --on b'],
  uses: 'host',
  json: '{ hosts: [{ host, directory, bytes, mostBytes, scope, unusable?, pages, seeds: [{ file, pages, changed }], guests }] }',
});

const status: Run<typeof cacheStatusSpec> = async (input, context) => {
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

const cacheSeedSpec = spec({
  name: 'seed',
  summary: 'index a file of a host, so that its contents need not be sent to that host',
  details:
    "Base images, kernels and initramfs on the destination contain much of a guest's memory. The file is read once " +
    'and not changed; if its contents change, seed it again. Only a user of that host may request it.',
  args: { file: { kind: 'file', summary: "the file's path on that host", required: true } },
  flags: {
    on,
    guest: {
      kind: 'guest',
      value: 'guest',
      summary: 'the guest, if the cache is separate for each guest',
    },
    tenant: {
      kind: 'text',
      value: 'tenant',
      summary: 'the tenant, if the cache is separate for each tenant',
    },
  },
  examples: [
    'cache seed /var/lib/images/debian-13.raw --guest web1',
    'cache seed /boot/vmlinuz --on b',
  ],
  uses: 'host',
  json: '{ host, file, pages }',
});

const seed: Run<typeof cacheSeedSpec> = async (input, context) => {
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

const cachePruneSpec = spec({
  name: 'prune',
  summary: "drop the oldest entries of a host's cache",
  flags: {
    on,
    to: { kind: 'bytes', summary: 'the size to keep at most; 0 drops everything', preset: '0' },
  },
  examples: ['cache prune --to 256M', 'cache prune --on b'],
  uses: 'host',
  json: '{ host, freedBytes, bytes }',
});

const prune: Run<typeof cachePruneSpec> = async (input, context) => {
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

async function hostsOf(fleet: AgentSet): Promise<HostEndpoint[]> {
  const found: HostEndpoint[] = [];
  for (const endpoint of fleet.endpoints) {
    const { hosts } = await endpoint.api.hosts();
    const host = hosts.find(({ self }) => self)?.name;
    if (host !== undefined) found.push({ ...endpoint, host });
  }
  return found;
}

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
  const what = `which host has the cache: ${names.join(', ')}?`;
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

export const CACHE_VERBS: readonly Verb[] = [
  verb(cacheStatusSpec, async () => ({ run: status })),
  verb(cacheSeedSpec, async () => ({ run: seed })),
  verb(cachePruneSpec, async () => ({ run: prune })),
];
