import type { GuestDescription, StreamSettings } from '../../protocol/peer/migration.ts';
import type { DestinationOptions } from '../../port/direct.ts';
import { matchHost, type Match } from './assess.ts';
import { hostGives } from './programs/baseline.ts';
import type { HostContext } from './host-context.ts';
import { pinsMemory, plugChecks } from './plug/plugger.ts';
import { socketChecks } from './process/sockets.ts';
import type { GuestTpm } from './tpm/guest-tpm.ts';
import { cgroupCheck } from './user/cgroup.ts';

export interface IncomingGuest {
  readonly description: GuestDescription;
  readonly stream: StreamSettings;
  readonly disks: ReadonlyMap<string, string>;
}

/** All checks of this host for a description, except those that depend on QEMU's user. */
export async function matchWithHost(
  options: DestinationOptions,
  context: HostContext,
  tpm: GuestTpm,
  { description, stream, disks }: IncomingGuest,
  signal: AbortSignal,
): Promise<Match> {
  const programs = await context.programs(signal);
  const { images: store, cgroup, luks, baseline, devices = {} } = context;
  const host = { ...context, programs, store, disks, luksKeyDir: luks?.keyDir };
  const match = await matchHost(description, stream, options, host, signal);
  const sockets = socketChecks(match.spec, options.guestDir);
  const served = await tpm.checks(match.spec, signal);
  const gives = await hostGives(baseline, match, options.host, signal);
  const plugs = await plugChecks({ ...options, devices }, options.plug ?? [], match.spec, signal);
  const checks = [...match.checks, ...sockets, ...served, ...gives, ...plugs, cgroupCheck(cgroup)];
  return { ...match, checks, isPinnedLater: pinsMemory(devices, options.plug) };
}
