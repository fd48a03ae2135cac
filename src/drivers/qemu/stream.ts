import { defined } from '../../protocol/defined.ts';
import type { StreamSettings } from '../../protocol/peer/migration.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import type { SteeringMeasure } from '../../protocol/public/steering.ts';
import type { StreamSetup } from '../../port/direct.ts';
import type { StreamChange } from '../../port/stream-change.ts';
import { compareVersions } from './programs/version.ts';

/** How a stream is asked for in the words of QEMU's migration capabilities and parameters. Pure. */

/** What one QEMU can do for a stream. */
export interface StreamAbilities {
  /** 7.2.22 */
  readonly version: string;
  readonly capabilities: readonly string[];
  /** Values of multifd-compression; empty when unknown. */
  readonly multifdCompression: readonly string[];
  /** It was built with RDMA; absent: not looked at. */
  readonly rdma?: boolean | undefined;
  /** What its process may keep from being swapped, bytes; absent: not looked at. */
  readonly lockable?: Lockable | undefined;
}

export interface Lockable {
  readonly pid: number;
  readonly bytes: number;
  /** What it may have to: of memory sent without a copy, what is under way; by RDMA all of it. */
  readonly neededBytes: number;
}

export const TLS_CREDENTIALS = 'godwit-tls';
export const TLS_AUTHORIZATION = 'godwit-authz';

/** Each capability that Godwit ever sets, so that none is left as somebody else had it. */
const OWN_CAPABILITIES = [
  'events',
  'return-path',
  'pause-before-switchover',
  'late-block-activate',
  'postcopy-ram',
  'postcopy-blocktime',
  'postcopy-preempt',
  'multifd',
  'xbzrle',
  'auto-converge',
  'dirty-limit',
  'zero-copy-send',
] as const;

function usesMultifd(stream: Omit<StreamSettings, 'tls'>): boolean {
  return stream.streams > 1 || stream.compress === 'zstd';
}

export interface StreamObstacle {
  readonly what: string;
  readonly reason: string;
  readonly hint?: string;
}

/** Why this QEMU cannot send or take such a stream; empty when it can. */
export function streamObstacles(
  stream: Omit<StreamSettings, 'tls'>,
  has: StreamAbilities,
  isSource = true,
): StreamObstacle[] {
  const obstacles: StreamObstacle[] = transportObstacles(stream, has, isSource);
  const need = (capability: string, what: string): void => {
    if (has.capabilities.includes(capability)) return;
    obstacles.push({ what, reason: `QEMU ${has.version} lacks ${capability}` });
  };
  need('events', 'watching the migration');
  need('return-path', 'an acknowledged switchover');
  need('pause-before-switchover', 'a held switchover');
  if (stream.mode !== 'precopy') need('postcopy-ram', `--mode ${stream.mode}`);
  if (usesMultifd(stream)) need('multifd', `--streams ${stream.streams}`);
  if (stream.compress === 'xbzrle') need('xbzrle', '--compress xbzrle');
  if (stream.compress === 'zstd' && !has.multifdCompression.includes('zstd')) {
    obstacles.push({
      what: '--compress zstd',
      reason: `QEMU ${has.version} was built without zstd`,
    });
  }
  if (stream.compress === 'xbzrle' && stream.streams > 1) {
    obstacles.push({
      what: '--compress xbzrle with several streams',
      reason: 'QEMU has xbzrle on its single stream only',
    });
  }
  // Older ones either refuse it or crash at its end.
  if (
    stream.mode !== 'precopy' &&
    usesMultifd(stream) &&
    compareVersions(has.version, '10.1') < 0
  ) {
    obstacles.push({
      what: `--mode ${stream.mode} with ${stream.compress === 'zstd' ? '--compress zstd' : 'several streams'}`,
      reason: `it needs QEMU 10.1 and this is ${has.version}`,
    });
  }
  return obstacles;
}

/** Why this QEMU cannot send, or take, memory by that transport. Pure. */
function transportObstacles(
  { transport, streams, compress, mode }: Omit<StreamSettings, 'tls'>,
  has: StreamAbilities,
  isSource: boolean,
): StreamObstacle[] {
  if (transport === undefined) return [];
  const what = `--transport ${transport}`;
  const lacks = (reason: string, hint: string): StreamObstacle => ({ what, reason, hint });
  const found: StreamObstacle[] = [];
  if (mode !== 'precopy')
    found.push(
      lacks(
        `it is for pre-copy, and not for ${mode}`,
        'It goes by pre-copy: leave --mode out, or take a strategy of --steering without post-copy.',
      ),
    );
  if (compress !== 'none')
    found.push(lacks('it sends pages as they are, uncompressed', 'Leave --compress out.'));
  if (transport === 'zero-copy' && streams < 2)
    found.push(
      lacks('QEMU sends without a copy on several streams alone', 'Say --streams 2 or more.'),
    );
  if (transport === 'rdma' && streams > 1)
    found.push(lacks('QEMU has one stream over RDMA', 'Leave --streams out.'));
  // Where it arrives, memory is received as ever.
  if (transport === 'zero-copy' && isSource && !has.capabilities.includes('zero-copy-send'))
    found.push(
      lacks(
        `QEMU ${has.version} lacks zero-copy-send`,
        'It takes QEMU 7.1 or later on Linux: leave the option out for this guest.',
      ),
    );
  if (transport === 'rdma' && has.rdma === false)
    found.push(
      lacks(
        `QEMU ${has.version} was built without RDMA`,
        'Install a QEMU that was built with it (librdmacm), or leave the option out.',
      ),
    );
  const { lockable } = has;
  if (lockable !== undefined && lockable.bytes < lockable.neededBytes)
    found.push(
      lacks(
        `QEMU may lock ${formatBytes(lockable.bytes)} of memory, and it takes up to ${formatBytes(lockable.neededBytes)}`,
        `Run \`prlimit --pid ${lockable.pid} --memlock=${lockable.neededBytes}\` on its host; \`LimitMEMLOCK\` of the agent’s unit is for guests to come.`,
      ),
    );
  return found;
}

/** For migrate-set-capabilities; the same on both ends but for what only concerns the source. */
export function capabilityList(
  stream: Omit<StreamSettings, 'tls'> &
    Pick<StreamSetup, 'holdSwitchover' | 'disks' | 'mayThrottle'>,
  has: readonly string[],
  isSource = true,
): { capability: string; state: boolean }[] {
  const wanted: Record<(typeof OWN_CAPABILITIES)[number], boolean> = {
    events: true,
    'return-path': true,
    'pause-before-switchover': stream.holdSwitchover === true,
    // Without it a destination takes the images, and their locks, as soon as all state is in.
    'late-block-activate': stream.disks === true,
    'postcopy-ram': stream.mode !== 'precopy',
    // The destination counts how long the guest waits for pages.
    'postcopy-blocktime': stream.mode !== 'precopy',
    // Never: a recovery that breaks at the wrong moment costs the guest (decision 0022).
    'postcopy-preempt': false,
    multifd: usesMultifd(stream),
    xbzrle: stream.compress === 'xbzrle',
    'auto-converge': stream.mayThrottle === true,
    // Never, and QEMU has no auto-converge beside it (decision 0024).
    'dirty-limit': false,
    'zero-copy-send': stream.transport === 'zero-copy' && isSource,
  };
  return OWN_CAPABILITIES.filter((capability) => has.includes(capability)).map((capability) => ({
    capability,
    state: wanted[capability],
  }));
}

/** The capabilities as QEMU starts with them. */
export function capabilitiesOff(has: readonly string[]): { capability: string; state: boolean }[] {
  return OWN_CAPABILITIES.filter((capability) => has.includes(capability)).map((capability) => ({
    capability,
    state: false,
  }));
}

export type Parameters = Record<string, string | number>;

/** Bandwidth that stands for "as much as the link gives", bytes/s. */
const UNLIMITED = 1024 ** 4;

/** QEMU's own. Only the source's counts. */
const QUICKEST_LEVEL = 1;

export function sourceParameters(setup: StreamSetup, tlsHostname: string | undefined): Parameters {
  return {
    'max-bandwidth': setup.maxBandwidth ?? UNLIMITED,
    'max-postcopy-bandwidth': setup.maxBandwidth ?? 0,
    'downtime-limit': downtimeLimit(setup.maxDowntimeMs),
    ...streamParameters(setup),
    ...(setup.compress === 'zstd'
      ? { 'multifd-zstd-level': setup.compressLevel ?? QUICKEST_LEVEL }
      : {}),
    ...(setup.mayThrottle === true
      ? { ...throttleParameters(0), 'throttle-trigger-threshold': 100 }
      : {}),
    'tls-creds': setup.tls ? TLS_CREDENTIALS : '',
    'tls-hostname': setup.tls ? (tlsHostname ?? setup.credentials?.peer ?? '') : '',
  };
}

/** What stands for "not slowed down": the least that QEMU takes. */
const NO_THROTTLE = 1;

/**
 * QEMU decides by itself when it slows a guest down (auto-converge), at the end of a round of a second or more. With one
 * value for the first, the most and any share it is given how much. It takes that over only when the guest dirties more
 * than the threshold, in percent of what was sent: the least one, also to give its speed back to a guest that is quiet.
 */
function throttleParameters(percent: number): Parameters {
  const share = Math.max(NO_THROTTLE, Math.min(99, Math.round(percent)));
  return {
    'cpu-throttle-initial': share,
    'cpu-throttle-increment': 99,
    'max-cpu-throttle': share,
    'throttle-trigger-threshold': 1,
  };
}

/** QEMU takes whole milliseconds, and by a limit of 0 only a guest that writes nothing at all comes to its end. */
function downtimeLimit(ms: number): number {
  return Math.max(1, Math.round(ms));
}

/** For migrate-set-parameters while the stream runs. */
export function changedParameters({
  maxBandwidth,
  precopyBandwidth: before,
  postcopyBandwidth: after,
  maxDowntimeMs,
  throttlePercent,
}: StreamChange): Parameters {
  return {
    ...(maxBandwidth === undefined
      ? {}
      : { 'max-bandwidth': maxBandwidth || UNLIMITED, 'max-postcopy-bandwidth': maxBandwidth }),
    ...(before === undefined ? {} : { 'max-bandwidth': before || UNLIMITED }),
    ...defined({ 'max-postcopy-bandwidth': after }),
    ...(maxDowntimeMs === undefined ? {} : { 'downtime-limit': downtimeLimit(maxDowntimeMs) }),
    ...(throttlePercent === undefined ? {} : throttleParameters(throttlePercent)),
  };
}

/** How much a guest is slowed down by what QEMU says of it; undefined where it is not. */
export function throttleOf(percent: number | undefined): number | undefined {
  return percent === undefined || percent <= NO_THROTTLE ? undefined : percent;
}

/** What can be changed of a stream that was set up with these capabilities. */
export function leversOf(
  capabilities: readonly { readonly capability: string; readonly state: boolean }[],
): SteeringMeasure[] {
  const isOn = (name: string): boolean =>
    capabilities.some(({ capability, state }) => capability === name && state);
  return [
    'downtime',
    ...(isOn('auto-converge') ? (['throttle'] as const) : []),
    ...(isOn('postcopy-ram') ? (['postcopy'] as const) : []),
  ];
}

export function destinationParameters(setup: StreamSetup): Parameters {
  return {
    ...streamParameters(setup),
    'tls-creds': setup.tls ? TLS_CREDENTIALS : '',
    'tls-authz': setup.tls ? TLS_AUTHORIZATION : '',
  };
}

function streamParameters(setup: StreamSetup): Parameters {
  if (!usesMultifd(setup)) return {};
  return {
    'multifd-channels': setup.streams,
    'multifd-compression': setup.compress === 'zstd' ? 'zstd' : 'none',
  };
}

/** Parameters as QEMU starts with them, of those that Godwit sets. */
export const DEFAULT_PARAMETERS: Parameters = {
  'max-bandwidth': 128 * 1024 * 1024,
  'max-postcopy-bandwidth': 0,
  'downtime-limit': 300,
  'multifd-channels': 2,
  'multifd-compression': 'none',
  'multifd-zstd-level': QUICKEST_LEVEL,
  'cpu-throttle-initial': 20,
  'cpu-throttle-increment': 10,
  'max-cpu-throttle': 99,
  'throttle-trigger-threshold': 50,
  'tls-creds': '',
  'tls-hostname': '',
  'tls-authz': '',
};

/** Of a guest's parameters as they were found, those that Godwit sets: to be put back. */
export function ownParameters(all: Readonly<Record<string, unknown>>): Parameters {
  const own: Parameters = {};
  for (const name of Object.keys(DEFAULT_PARAMETERS)) {
    const value = all[name];
    if (typeof value === 'string' || typeof value === 'number') own[name] = value;
  }
  // Settings that an earlier mover left are not those that the guest was found with.
  for (const name of ['tls-creds', 'tls-hostname', 'tls-authz']) own[name] = '';
  return own;
}
