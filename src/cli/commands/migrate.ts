import { godwitError, hasCode } from '../../errors.ts';
import { migrationRequest } from '../../protocol/public/migration.ts';
import type { MigrationRequest } from '../../protocol/public/migration.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import { printJson } from '../context.ts';
import type { Context } from '../context.ts';
import { EXIT_LEFT, finalReport, printEnding } from '../ending.ts';
import { askAny } from '../agent-set.ts';
import type { Endpoint, AgentSet } from '../agent-set.ts';
import { follow } from '../follow.ts';
import { askAtHome } from '../home.ts';
import type { migrateSpec } from '../specs.ts';
import { flagName } from '../values.ts';
import type { Input, Run } from '../verb.ts';

type MigrateInput = Input<typeof migrateSpec>;

export const run: Run<typeof migrateSpec> = async (input, context) => {
  const { to } = input.flags;
  if (to === undefined) {
    throw godwitError(
      'GODWIT_USAGE',
      { what: 'godwit migrate needs --to HOST' },
      { hint: '`godwit hosts` lists them. See `godwit migrate --help`.' },
    );
  }
  const fleet = await context.connect(input.connection);
  try {
    const request = requestOf(input, to);
    const { id, endpoint } = await askAtHome(fleet, request.guest, (asked) => {
      return startAt(fleet, asked, request);
    });
    if (input.flags.detach === true) return sayDetached(context, id, input.json);
    return await followToEnd(context, endpoint, id, input.json);
  } finally {
    fleet.close();
  }
};

function requestOf({ args, flags }: MigrateInput, to: string): MigrationRequest {
  const asked = {
    guest: args.guest,
    to,
    mode: flags.mode,
    maxDowntimeMs: flags.maxDowntime === undefined ? undefined : Math.round(flags.maxDowntime),
    maxBandwidth: flags.maxBandwidth,
    streams: flags.streams,
    compress: flags.compress,
    timeoutMs: flags.timeout === undefined ? undefined : Math.round(flags.timeout),
    hybridRounds: flags.hybridRounds,
    onLost: flags.onLost,
    path: flags.path,
    linkGraceMs: flags.linkGrace === undefined ? undefined : Math.round(flags.linkGrace),
    ...(flags.keepSource === true ? { keepSource: true } : {}),
    ...(flags.diskWrites === 'refuse' ? { diskWrites: flags.diskWrites } : {}),
    ...(flags.verifyDisks === true ? { verifyDisks: true } : {}),
    ...(flags.network === undefined ? {} : { networks: networkMapOf(flags.network) }),
    ...(flags.pathAddress === undefined ? {} : { pathAddresses: flags.pathAddress }),
  };
  const parsed = migrationRequest.safeParse(asked);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (issue?.path[0] === 'guest' || issue?.path[0] === 'to') {
    throw godwitError(
      'GODWIT_USAGE',
      { what: `"${String(asked[issue.path[0]]).slice(0, 80)}" is not ${issue.message}` },
      { hint: 'See `godwit guests` and `godwit hosts` for the names.', cause: parsed.error },
    );
  }
  const field = flagOf(String(issue?.path[0] ?? ''));
  throw godwitError(
    'GODWIT_USAGE',
    { what: `${flagName(field)}: ${issue?.message ?? 'not accepted'}` },
    { hint: 'See `godwit migrate --help` for what is accepted.', cause: parsed.error },
  );
}

/** `br0=br1` and so on; each source once. */
function networkMapOf(given: readonly string[]): Record<string, string> {
  const pairs = given.map((text) => {
    const [source = '', destination = '', ...more] = text.split('=');
    if (source !== '' && destination !== '' && more.length === 0) return [source, destination];
    throw godwitError(
      'GODWIT_USAGE',
      { what: `--network ${text.slice(0, 80)} is no mapping` },
      { hint: 'Name the bridge at the source and the one at the destination: --network br0=br1.' },
    );
  });
  const map = Object.fromEntries(pairs) as Record<string, string>;
  if (Object.keys(map).length === pairs.length) return map;
  throw godwitError(
    'GODWIT_USAGE',
    { what: '--network names a network of the source twice' },
    { hint: 'A network of the source is one network at the destination.' },
  );
}

/** The flag that a field of the request comes from. */
function flagOf(field: string): string {
  if (field === 'networks') return 'network';
  return field === 'pathAddresses' ? 'pathAddress' : field.replace(/Ms$/, '');
}

interface Started {
  readonly id: string;
  readonly endpoint: Endpoint;
}

async function startAt(
  fleet: AgentSet,
  endpoint: Endpoint,
  body: MigrationRequest,
): Promise<Started> {
  try {
    return { id: (await endpoint.api.migrate({ body })).id, endpoint };
  } catch (error) {
    if (!hasCode(error, 'GODWIT_HOST_UNKNOWN')) throw error;
    const { hosts } = await askAny(fleet, ({ api }) => api.hosts());
    const names = hosts.map((each) => each.name);
    const near = didYouMean(body.to, names);
    throw godwitError(
      'GODWIT_HOST_UNKNOWN',
      { host: body.to },
      {
        hint: `${near ?? ''} The hosts are ${names.slice(0, 20).join(', ')}.`.trim(),
        cause: error,
      },
    );
  }
}

function sayDetached(context: Context, id: string, json: boolean): void {
  if (json) printJson(context, { id });
  else context.out.write(`${id}\n`);
  context.err.write(`The migration goes on by itself; \`godwit watch ${id}\` follows it.\n`);
}

async function followToEnd(
  context: Context,
  endpoint: Endpoint,
  id: string,
  json: boolean,
): Promise<number> {
  const last = await follow(context, {
    endpoint,
    id,
    show: json ? 'nothing' : 'people',
    onFirstInterrupt: async () => {
      const { what } = await endpoint.api.cancel({ params: { id } });
      return `cancel: ${what} (Ctrl-C again to leave it to itself)`;
    },
  });
  if (last === 'left') {
    if (json) printJson(context, { id });
    context.err.write(`The migration goes on by itself; \`godwit watch ${id}\` follows it.\n`);
    return EXIT_LEFT;
  }
  return printEnding(context, await finalReport(context, endpoint, id), json);
}
