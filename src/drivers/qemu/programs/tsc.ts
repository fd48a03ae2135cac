import { readFile } from 'node:fs/promises';
import { godwitError } from '../../../errors.ts';
import { passes, refuses, warns, type Finding } from '../../../migration/preflight/finding.ts';
import type { NamedCheck } from '../../../migration/preflight/check.ts';
import type { GuestDescription } from '../../../protocol/peer/migration.ts';
import type { DestinationOptions } from '../../../port/direct.ts';
import { getScalar } from '../guest/qom.ts';
import type { QmpClient } from '../qmp/client.ts';
import type { GuestSpec } from '../spec/schema.ts';

/** Time-stamp counter (TSC) of a guest's processors. Under KVM it is the host's. */

/** Difference that QEMU and KVM ignore; NTP corrects twice as much. */
const TOLERATED_PPM = 250;
const NTP_PPM = 500;
const MEGA = 1_000_000;

export async function readTsc(
  client: Pick<QmpClient, 'request'>,
  cpuPath: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  const hz = await getScalar(client, cpuPath, 'tsc-frequency', signal);
  return typeof hz === 'number' && hz > 0 ? hz : undefined;
}

/** True if KVM can give a guest another frequency than the host's; undefined if unknown. */
export async function tscScales(): Promise<boolean | undefined> {
  return scalesBy(await readFile('/proc/cpuinfo', 'utf8').catch(() => ''));
}

/** Parses /proc/cpuinfo, which lists Intel's virtualization features on a separate line since Linux 5.7. Pure. */
export function scalesBy(cpuinfo: string): boolean | undefined {
  const words = (name: string): string[] | undefined =>
    new RegExp(`^${name}\\s*:(.*)$`, 'm').exec(cpuinfo)?.[1]?.trim().split(/\s+/);
  const [flags, ofVmx] = [words('flags'), words('vmx flags')];
  if (flags === undefined) return undefined;
  if (flags.includes('vmx')) return ofVmx?.includes('tsc_scaling');
  return flags.includes('tsc_scale');
}

export interface TscFacts {
  readonly guest: string;
  readonly host: string;
  readonly guestHz?: number | undefined;
  /** QEMU was started with `tsc-frequency`: it starts with no other frequency. */
  readonly isSet: boolean;
  readonly hostHz?: number | undefined;
  readonly scales: boolean | undefined;
}

export function judgeTsc({ guest, host, guestHz, isSet, hostHz, scales }: TscFacts): Finding {
  if (scales === true)
    return passes(`${host} gives a guest the frequency that it had (TSC scaling)`);
  if (guestHz === undefined || hostHz === undefined) {
    const of = guestHz === undefined ? guest : host;
    return passes(`not known: nobody says how fast the TSC of ${of} is`);
  }
  const ppm = (Math.abs(hostHz - guestHz) / guestHz) * MEGA;
  const both = `${mhz(guestHz)} MHz, and that of ${host} ${mhz(hostHz)} MHz`;
  if (ppm <= TOLERATED_PPM) return passes(`that of ${guest} is at ${both}: as good as the same`);
  if (scales === undefined)
    return passes(`not known: that of ${guest} is at ${both}, and nobody says whether it scales`);
  if (isSet) {
    const features = `a TSC of ${mhz(guestHz)} MHz (it has ${mhz(hostHz)} MHz, and its processor does not scale)`;
    return refuses(godwitError('GODWIT_CPU_FEATURE', { host, guest, features }));
  }
  const by = hostHz > guestHz ? 'fast' : 'slow';
  const percent = (ppm / 10_000).toPrecision(2);
  const ntp = ppm > NTP_PPM ? ', more than NTP makes up for' : '';
  const evidence = `the TSC of ${guest} is at ${both}, whose processor does not scale: what counts it runs ${percent} % ${by} there${ntp}`;
  const hint =
    'Choose a host with the same frequency, or move the guest with --mode cold. A guest whose clock source is kvm-clock keeps its time: KVM tells it the new frequency.';
  return warns(evidence, hint);
}

function mhz(hz: number): string {
  return (hz / MEGA).toFixed(3);
}

/**
 * Checks only guests that stay under KVM, because only their TSC is the host's. `hostHz`: frequency of the
 * destination's KVM, Hz.
 */
export async function tscChecks(
  { name: guest, tscHz: guestHz }: GuestDescription,
  { accelerator, cpu }: Pick<GuestSpec, 'accelerator' | 'cpu'>,
  hostHz: number | undefined,
  { host, isCold = false }: Pick<DestinationOptions, 'host' | 'isCold'>,
): Promise<NamedCheck[]> {
  if (accelerator.name !== 'kvm' || isCold) return [];
  const isSet = cpu !== undefined && Object.hasOwn(cpu.switches, 'tsc-frequency');
  const found = judgeTsc({ guest, host, guestHz, isSet, hostHz, scales: await tscScales() });
  return [{ name: 'tsc', side: 'destination', ...found }];
}
