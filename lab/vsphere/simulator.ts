import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { systemClock } from '../../src/clock.ts';
import { withDeadline } from '../../src/deadline.ts';
import { godwitError, type GodwitError } from '../../src/errors.ts';
import { cacheDirectory } from '../../src/system/files/cache-directory.ts';
import { isAlive } from '../../src/system/processes/process.ts';
import { inHost } from '../entry.ts';
import { labEnvironment } from '../environment.ts';
import { startDetached } from '../processes.ts';
import type { Lab } from '../state.ts';

/** A simulated vCenter on the first host of a lab, with hosts and guests of its own, which are simulated too. */

const SOURCE = fileURLToPath(new URL('../../test/managers/vcsim', import.meta.url));
const START_MS = 60_000;
const PORT = 8989;
/** It is the simulator's own preset: nothing but the lab reaches it. */
const USER = 'godwit';
const PASSWORD = 'secret';
const SIZE = ['--clusters', '1', '--hosts', '3', '--guests', '6'];

/** A pipe that is open for reading and writing never ends: the simulator ends with its standard input. */
const SCRIPT = `
set -e
commands=$1
shift
mkfifo -m 0600 "$commands"
exec "$@" <>"$commands"
`;

const begun = z.object({ url: z.string(), fingerprint: z.string() });

/** How the lab's vCenter is reached from its hosts. */
export interface LabVcenter {
  readonly url: string;
  readonly fingerprint: string;
  readonly user: string;
  readonly password: string;
}

/** The program as setup builds it, named by its source; undefined in a package, which does not have that. */
export function simulatorProgram(source = SOURCE): string | undefined {
  if (!existsSync(source)) return undefined;
  const hash = createHash('sha256');
  const files = readdirSync(source).filter((each) => each.endsWith('.go'));
  for (const file of files.toSorted()) hash.update(readFileSync(path.join(source, file)));
  return path.join(cacheDirectory(), 'vcsim', `vcsim-${hash.digest('hex').slice(0, 16)}`);
}

/** Why a lab cannot have it here; undefined where it can. */
export async function vsphereLacks(program = simulatorProgram()): Promise<GodwitError | undefined> {
  return program !== undefined && existsSync(program) ? undefined : unbuilt(program);
}

function unbuilt(program: string | undefined): GodwitError {
  const what = 'the simulated vCenter';
  const hint =
    program === undefined
      ? 'It is built in a clone of Godwit: run `godwit lab up --with vsphere` there.'
      : 'Build it: `bash tools/setup.sh --only vcsim` fetches Go and govmomi as packages of Debian 12.';
  return godwitError('GODWIT_HOST_LACKS', { what }, { hint });
}

/** The files of a lab's vCenter. */
function vcenterDirectory(lab: Pick<Lab, 'dir'>): string {
  return path.join(lab.dir, 'vcenter');
}

/** Starts it and waits until it says where it is. It ends as all processes in the lab's namespaces do. */
export async function startSimulator(
  lab: Lab,
  signal: AbortSignal | undefined,
): Promise<LabVcenter> {
  const program = simulatorProgram();
  if (program === undefined || !existsSync(program)) throw unbuilt(program);
  const [first] = lab.members;
  if (first === undefined) throw godwitError('GODWIT_LAB', { what: `lab ${lab.name} has no host` });
  const own = vcenterDirectory(lab);
  // What it writes for its datastores goes with the lab.
  const scratch = path.join(own, 'tmp');
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  await writeFile(path.join(own, 'password'), `${PASSWORD}\n`, { mode: 0o600 });
  const logFile = path.join(own, 'vcenter.log');
  const place = ['--state', path.join(own, 'state.json'), '--listen', `${first.address}:${PORT}`];
  const words = [path.join(own, 'commands'), program, ...place, ...SIZE];
  const argv = inHost(lab, first.name, ['sh', '-c', SCRIPT, 'vcenter', ...words]);
  const env = { ...labEnvironment(lab), TMPDIR: scratch };
  const started = await startDetached(argv, { logFile, env });
  return withDeadline('the simulated vCenter', START_MS, signal, async (inner) => {
    for (;;) {
      const log = await readFile(logFile, 'utf8');
      const whole = log.includes('\n');
      const [line = ''] = log.split('\n');
      if (whole && line.startsWith('{'))
        return { ...begun.parse(JSON.parse(line)), user: USER, password: PASSWORD };
      if (!isAlive(started)) {
        const what = `the simulated vCenter ended at once: ${log.trim().slice(-400)}`;
        throw godwitError('GODWIT_LAB', { what });
      }
      await systemClock.sleep(25, inner);
    }
  });
}
