import type { DestinationSession } from '../../../drivers/port/direct.ts';
import { withDeadline } from '../../../deadline.ts';
import { toGodwitError, type SerialError } from '../../../errors.ts';
import type { DestinationState } from '../../../migration/direct/destination.ts';
import {
  judgeHandedOver,
  judgePlugged,
  judgeWriters,
  looked,
  notLooked,
} from '../../../migration/report/verified.ts';
import type { LookName, Verified } from '../../../migration/report/verified.ts';
import type { VerifyAnswer } from '../../../protocol/peer/verify.ts';
import type { BuildContext } from './build.ts';

/** The source waits no longer than this and a little, ms. */
const LOOK_MS = 6000;
/** Devices that are plugged in, which pin all of a guest's memory or are looked for on their bus, ms. */
const PLUG_MS = 6000;

type Dependencies = Pick<BuildContext, 'config' | 'connections' | 'driver' | 'log' | 'ports'>;

/** The guest runs here: what this host sees of it from outside of its hypervisor. Rejects for nothing that it cannot see. */
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
  // After the machine was read: that is compared with the one before.
  const plugged = await pluggedHere(deps, state, session);
  const checks = [...disks, ...plugged, ...segments, ...connections];
  return { checks: checks.slice(0, 96), ...machine };
}

/** Never waits for a look that heeds no signal, as one at a file of a storage that hangs: whoever asks holds the mover. */
async function orNot(
  name: LookName,
  look: (signal: AbortSignal) => Promise<Verified[]>,
): Promise<Verified[]> {
  try {
    return await withDeadline(`the look at ${name}`, LOOK_MS, undefined, look);
  } catch (thrown) {
    return [notLooked(name, 'destination', toGodwitError(thrown).message)];
  }
}

async function disksHere(
  { config, driver }: Dependencies,
  session: DestinationSession,
  signal: AbortSignal,
): Promise<Verified[]> {
  const written = await session.disks?.written?.(signal);
  const skip = (why: string): Verified[] => [notLooked('disks', 'destination', why)];
  if (written === undefined || driver.diskWriters === undefined)
    return skip('its driver does not know which files are its disks');
  const { files, remote } = written;
  const network = `${remote} of its images are reached by its hypervisor itself over a network`;
  if (files.length === 0) return remote === 0 ? skip('it writes to no disk') : skip(network);
  const writers = await driver.diskWriters(files, signal);
  const found = looked('disks', 'destination', judgeWriters(config.name, files, writers));
  return remote === 0 ? [found] : [found, ...skip(network)];
}

async function pluggedHere(
  { config }: Dependencies,
  { admission: { settings } }: DestinationState,
  session: DestinationSession,
): Promise<Verified[]> {
  if (settings?.plug === undefined) return [];
  const devices = await plugAll(session, settings.plug, AbortSignal.timeout(PLUG_MS));
  return [looked('plugged', 'destination', judgePlugged(config.name, devices))];
}

/** Gives the guest these devices of this host, if it lacks them. Rejects for none. */
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

/** What was asked before it came is asked once more: now it is the guest itself that answers here. */
async function segmentsHere(
  { ports }: Dependencies,
  { admission, preparation }: DestinationState,
  signal: AbortSignal,
): Promise<Verified[]> {
  if (preparation === undefined) return [];
  // A mover that took over has mapped nothing yet.
  await ports.map(preparation, signal);
  const all = await ports.segments(admission, preparation, signal);
  const checks = all.filter(({ name }) => name === 'segment');
  if (checks.length === 0)
    return [notLooked('segment', 'destination', 'it has no NIC in a segment of this host')];
  return checks.map(({ verdict, notTried, evidence, error, hint = error?.hint }): Verified => {
    const common = { name: 'segment', side: 'destination', evidence } as const;
    if (notTried === true) return { ...common, verdict: 'pass', notTried };
    if (verdict === 'pass') return { ...common, verdict };
    return { ...common, verdict: 'warn', hint: hint ?? SILENT_HINT };
  });
}

const SILENT_HINT =
  'Ask the guest from another machine of its segment; `godwit report` has what other hosts saw of it.';

async function connectionsHere(
  { config, connections }: Dependencies,
  signal: AbortSignal,
): Promise<Verified[]> {
  const skip = (why: string): Verified[] => [notLooked('connections', 'destination', why)];
  if (config.network.connections === 'leave' || connections === undefined)
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
    // The source says that it could not be compared.
    log.warn({ error: toGodwitError(thrown) }, 'what the machine is could not be read');
    return {};
  }
}
