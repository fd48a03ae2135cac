import { godwitError, hasCode } from '../../errors.ts';
import { defined } from '../../protocol/defined.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import {
  migrationRequest,
  type MigrationRequest,
  type MigrationSettings,
} from '../../protocol/public/migration.ts';
import { modeOf, strategyNamed, type StrategyName } from '../../protocol/public/steering.ts';
import { momentOf, windowOf } from './deadline.ts';
import { wrongValue } from './flag-bounds.ts';
import { readStrategyFile } from './steering-file.ts';
import { askAny, type AgentSet } from '../connection/agent-set.ts';
import type { migrateSpec } from './specs.ts';
import { flagName } from '../values.ts';
import type { Input } from '../verb.ts';

type MigrateInput = Pick<Input<typeof migrateSpec>, 'args' | 'flags'>;

/** Destination of a preview: every host that the guest's host can reach. */
export const ANY = 'any';

export function mustHaveTo(to: string | undefined): string {
  if (to !== undefined) return to;
  throw godwitError(
    'GODWIT_USAGE',
    { what: 'godwit migrate needs --to HOST' },
    { hint: '`godwit hosts` lists them. See `godwit migrate --help`.' },
  );
}

export function requestOf({ args, flags }: MigrateInput, to: string): MigrationRequest {
  const asked = {
    guest: args.guest,
    to,
    mode: flags.mode,
    maxDowntimeMs: flags.maxDowntime === undefined ? undefined : Math.round(flags.maxDowntime),
    ...steeringOf(flags),
    ...timesOf(flags, Date.now()),
    ...lookedAfter(flags),
    ...(flags.notice === undefined ? {} : { noticeMs: Math.round(flags.notice) }),
    maxBandwidth: flags.maxBandwidth,
    ...(flags.linkShare === undefined ? {} : { linkShare: shareIn(flags.linkShare) }),
    ...defined({ balloon: flags.balloon }),
    streams: flags.streams,
    compress: flags.compress,
    ...defined({ compressLevel: flags.compressLevel }),
    timeoutMs: flags.giveUpAfter === undefined ? undefined : Math.round(flags.giveUpAfter),
    hybridRounds: flags.hybridRounds,
    onLost: flags.onLost,
    path: flags.path,
    ...(flags.transport === undefined || flags.transport === 'tcp'
      ? {}
      : { transport: flags.transport }),
    linkGraceMs: flags.linkGrace === undefined ? undefined : Math.round(flags.linkGrace),
    ...defined({ datastore: flags.datastore, priority: flags.priority }),
    ...(flags.encrypted === true ? { encrypted: true } : {}),
    ...(flags.keepSource === true ? { keepSource: true } : {}),
    ...(flags.diskWrites === 'refuse' ? { diskWrites: flags.diskWrites } : {}),
    ...(flags.verifyDisks === true ? { verifyDisks: true } : {}),
    ...defined({ unplug: flags.unplug, plug: flags.plug }),
    ...(flags.mapNetwork === undefined ? {} : { networks: networkMapOf(flags.mapNetwork) }),
    ...defined({ pathAddresses: flags.pathAddress }),
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
  const field = flagOf(String(issue?.path[0] ?? ''), issue?.path[1]);
  const why = issue === undefined ? 'not accepted' : wrongValue(migrationRequest, issue);
  throw godwitError(
    'GODWIT_USAGE',
    { what: `${flagName(field)}: ${why}` },
    { hint: 'See `godwit migrate --help` for the accepted values.', cause: parsed.error },
  );
}

/** `0.7` or `70%`; the contract checks the bounds. */
function shareIn(text: string): number {
  const [, number = '', percent = ''] = /^(\d+(?:\.\d+)?|\.\d+)(%?)$/.exec(text.trim()) ?? [];
  if (number !== '') return percent === '' ? Number(number) : Number(number) / 100;
  const what = `--link-share cannot be "${text.slice(0, 40)}"`;
  throw godwitError('GODWIT_USAGE', { what }, { hint: 'Say a share such as 0.7 or 70%.' });
}

const QUIET_WITHIN_MS = 3_600_000;
const RETURN_WITHIN_MS = 600_000;

function lookedAfter({
  when,
  quietWithin,
  returnIfUnhealthy: check,
  returnWithin,
}: MigrateInput['flags']): Pick<MigrationSettings, 'whenQuiet' | 'returnIfUnhealthy'> {
  mustGoWith('--quiet-within', quietWithin, '--when quiet', when);
  mustGoWith('--return-within', returnWithin, '--return-if-unhealthy CHECK', check);
  return {
    ...(when === undefined
      ? {}
      : { whenQuiet: { withinMs: Math.round(quietWithin ?? QUIET_WITHIN_MS) } }),
    ...(check === undefined
      ? {}
      : { returnIfUnhealthy: { check, withinMs: Math.round(returnWithin ?? RETURN_WITHIN_MS) } }),
  };
}

function mustGoWith(
  flag: string,
  given: number | undefined,
  other: string,
  otherGiven: string | undefined,
): void {
  if (given === undefined || otherGiven !== undefined) return;
  const what = `${flag} is given without ${other}`;
  throw godwitError('GODWIT_USAGE', { what }, { hint: `Add ${other}, or leave ${flag} out.` });
}

/** Start and end times. A window sets both; the sooner end counts. */
function timesOf(
  { notBefore, window, deadline }: MigrateInput['flags'],
  nowMs: number,
): Pick<MigrationSettings, 'notBefore' | 'deadlineAt'> {
  if (notBefore !== undefined && window !== undefined)
    throw godwitError(
      'GODWIT_USAGE',
      { what: '--not-before and --window are both given' },
      { hint: 'A window says when it may begin: leave --not-before out.' },
    );
  const open = window === undefined ? undefined : windowOf(window, nowMs);
  const fromMs =
    notBefore === undefined ? open?.fromMs : momentOf('--not-before', notBefore, nowMs);
  const deadlineMs = deadline === undefined ? Infinity : momentOf('--deadline', deadline, nowMs);
  const untilMs = Math.min(deadlineMs, open?.untilMs ?? Infinity);
  const iso = (ms: number): string => new Date(ms).toISOString();
  return {
    ...(fromMs === undefined ? {} : { notBefore: iso(fromMs) }),
    ...(Number.isFinite(untilMs) ? { deadlineAt: iso(untilMs) } : {}),
  };
}

function steeringOf({
  steering: name,
  steeringFile: file,
  mode,
  maxDowntime,
  deadline,
  window,
}: MigrateInput['flags']): Partial<MigrationSettings> {
  if (name === undefined && file === undefined) return {};
  const refused = (what: string, hint: string): never => {
    throw godwitError('GODWIT_USAGE', { what }, { hint });
  };
  if (name !== undefined && file !== undefined)
    return refused('--steering and --steering-file are both given', 'Give one of them.');
  if (mode !== undefined)
    return refused(
      `--mode and ${name === undefined ? '--steering-file' : '--steering'} are both given`,
      'The strategy decides the mode: leave --mode out.',
    );
  const steering = file === undefined ? (name as StrategyName) : readStrategyFile(file);
  const strategy = strategyNamed(steering);
  // A window sets a deadline.
  const isBound = maxDowntime !== undefined && (deadline ?? window) !== undefined;
  if (strategy.mustHaveLimits && !isBound)
    return refused(
      `the strategy ${strategy.name} needs --max-downtime, and --deadline or --window`,
      'Give both, such as --max-downtime 300ms --deadline 5m, or --max-downtime 300ms --window 01:00-05:00.',
    );
  return {
    steering,
    mode: modeOf(strategy),
    ...(maxDowntime === undefined ? { maxDowntimeMs: strategy.maxDowntimeMs } : {}),
  };
}

/** `br0=br1` and so on; each source once. */
function networkMapOf(given: readonly string[]): Record<string, string> {
  const pairs = given.map((text) => {
    const [source = '', destination = '', ...more] = text.split('=');
    if (source !== '' && destination !== '' && more.length === 0) return [source, destination];
    throw godwitError(
      'GODWIT_USAGE',
      { what: `--map-network ${text.slice(0, 80)} is no mapping` },
      {
        hint: 'Name the bridge at the source and the one at the destination: --map-network br0=br1.',
      },
    );
  });
  const map = Object.fromEntries(pairs) as Record<string, string>;
  if (Object.keys(map).length === pairs.length) return map;
  throw godwitError(
    'GODWIT_USAGE',
    { what: '--map-network names a network of the source twice' },
    { hint: 'A network of the source is one network at the destination.' },
  );
}

function flagOf(field: string, part: PropertyKey | undefined): string {
  if (field === 'networks') return 'mapNetwork';
  if (field === 'timeoutMs') return 'giveUpAfter';
  if (field === 'whenQuiet') return 'quietWithin';
  if (part === 'withinMs') return 'returnWithin';
  return field === 'pathAddresses' ? 'pathAddress' : field.replace(/Ms$/, '');
}

export async function withNearestHost<T>(
  fleet: AgentSet,
  to: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!hasCode(error, 'GODWIT_HOST_UNKNOWN')) throw error;
    const { hosts } = await askAny(fleet, ({ api }) => api.hosts());
    const names = hosts.map((each) => each.name);
    const near = didYouMean(to, names);
    const hint = `${near ?? ''} The hosts are ${names.slice(0, 20).join(', ')}.`.trim();
    throw godwitError('GODWIT_HOST_UNKNOWN', { host: to }, { hint, cause: error });
  }
}
