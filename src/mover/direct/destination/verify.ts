import type { DestinationSession } from '../../../port/direct.ts';
import { withDeadline } from '../../../deadline.ts';
import { toGodwitError, type SerialError } from '../../../errors.ts';
import type { DestinationState } from '../../../migration/direct/destination/destination.ts';
import {
  judgeHandedOver,
  judgePlugged,
  looked,
  notLooked,
  type VerificationCheck,
} from '../../../migration/report/verified.ts';
import type { VerifyAnswer } from '../../../protocol/peer/verify.ts';
import { disksLook, LOOK_MS, orNot, segmentLooks } from '../../shared/looks.ts';
import type { DestinationContext } from './destination-context.ts';
import type { GuestPorts } from './nic-ports.ts';

/** Time to plug devices in, which may pin all guest memory or need a bus scan, ms. */
const PLUG_MS = 6000;

type Dependencies = Pick<DestinationContext, 'config' | 'connections' | 'driver' | 'log'> & {
  readonly ports: GuestPorts;
};

/** External observations of the running guest. Failed looks do not reject. */
export async function verifyHere(
  deps: Dependencies,
  state: DestinationState,
  session: DestinationSession,
): Promise<VerifyAnswer> {
  const [disks, segments, connections, machine] = await Promise.all([
    orNot('disks', (signal) => disksHere(deps, session, signal)),
    orNot('segment', (signal) => segmentsHere(deps, state, signal)),
    orNot('connections', (signal) => connectionsHere(deps, signal)),
    machineHere(deps, session),
  ]);
  // After the machine was read for the comparison.
  const plugged = await pluggedHere(deps, state, session);
  const checks = [...disks, ...plugged, ...segments, ...connections];
  return { checks: checks.slice(0, 96), ...machine };
}

async function disksHere(
  { config, driver }: Dependencies,
  session: DestinationSession,
  signal: AbortSignal,
): Promise<VerificationCheck[]> {
  const written = await session.disks?.written?.(signal);
  const writersOf = driver.diskWriters?.bind(driver);
  return disksLook(config.name, written, writersOf, signal);
}

async function pluggedHere(
  { config }: Dependencies,
  { admission: { settings } }: DestinationState,
  session: DestinationSession,
): Promise<VerificationCheck[]> {
  if (settings?.plug === undefined) return [];
  const devices = await plugAll(session, settings.plug, AbortSignal.timeout(PLUG_MS));
  return [looked('plugged', 'destination', judgePlugged(config.name, devices))];
}

/** Plugs in missing devices of this host. Never rejects for one. */
export async function plugAll(
  session: DestinationSession,
  names: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly name: string; readonly error?: SerialError }[]> {
  const all = [];
  for (const name of names) {
    const plug = async (within: AbortSignal) => session.plug?.(name, within);
    const done = withDeadline(`plugging ${name} in`, PLUG_MS, signal, plug);
    all.push(
      await done.then(
        () => ({ name }),
        (thrown: unknown) => ({ name, error: toGodwitError(thrown).toJSON() }),
      ),
    );
  }
  return all;
}

/** Repeats the earlier questions; now the guest itself answers here. */
async function segmentsHere(
  { ports }: Dependencies,
  { admission, preparation }: DestinationState,
  signal: AbortSignal,
): Promise<VerificationCheck[]> {
  if (preparation === undefined) return [];
  // A mover that took over has mapped nothing yet.
  await ports.map(preparation, signal);
  const all = await ports.segments(admission, preparation, signal);
  return segmentLooks(all);
}

async function connectionsHere(
  { config, connections }: Dependencies,
  signal: AbortSignal,
): Promise<VerificationCheck[]> {
  const skip = (why: string): VerificationCheck[] => [notLooked('connections', 'destination', why)];
  if (config.network.connections !== 'hand-over' || connections === undefined)
    return skip('connections are left to themselves, as this host is configured');
  const found = judgeHandedOver(config.name, await connections.verify(signal));
  return typeof found === 'string' ? skip(found) : [looked('connections', 'destination', found)];
}

async function machineHere(
  { log }: Dependencies,
  session: DestinationSession,
): Promise<Pick<VerifyAnswer, 'machine'>> {
  try {
    const read = async (signal: AbortSignal) => session.machine?.(signal);
    const machine = await withDeadline('what the machine is', LOOK_MS, undefined, read);
    return machine === undefined ? {} : { machine };
  } catch (thrown) {
    // The source reports that the comparison failed.
    log.warn({ error: toGodwitError(thrown) }, 'what the machine is could not be read');
    return {};
  }
}
