import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../src/clock.ts';
import { withDeadline } from '../src/deadline.ts';
import { godwitError } from '../src/errors.ts';
import { isAlive } from '../src/system/processes/process.ts';
import type { controllerContract } from '../src/protocol/controller/contract.ts';
import type { Client } from '../src/rpc/client.ts';
import { inHost } from './entry.ts';
import { labEnvironment } from './environment.ts';
import { AGENT_PORT } from './plan.ts';
import { startDetached } from './processes.ts';
import type { Lab } from './state.ts';

const PROGRAM = fileURLToPath(new URL('../src/bin/controller.ts', import.meta.url));
const START_MS = 60_000;
const PORT = 7444;
const NAME = 'control';

/** For `--controller`. */
export function labControllerSocket(lab: Pick<Lab, 'dir'>): string {
  return path.join(lab.dir, 'controller', 'controller.sock');
}

/** Starts a controller of all hosts on the first one. Its files and processes are the lab's and go with it. */
export async function startLabController(
  lab: Lab,
  signal: AbortSignal | undefined,
): Promise<Client<typeof controllerContract>> {
  const [first] = lab.members;
  if (first === undefined) throw godwitError('GODWIT_LAB', { what: `lab ${lab.name} has no host` });
  // Certificates and contracts need heavy modules: only a lab with a controller pays for them.
  const { issue, storeCredentials } = await import('../src/pki/authority.ts');
  const stateDir = path.dirname(labControllerSocket(lab));
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const caDir = path.join(lab.dir, 'ca');
  const addresses = [first.address];
  const issued = await issue({ caDir, name: NAME, role: 'controller', addresses });
  storeCredentials(path.join(stateDir, 'pki'), issued, 'controller');
  const hosts = lab.members.map(
    ({ name, address }) => [name, { address: `${address}:${AGENT_PORT}` }] as const,
  );
  const own = { name: NAME, address: `${first.address}:${PORT}`, stateDir };
  const configFile = path.join(stateDir, 'controller.json');
  const config = { ...own, hosts: Object.fromEntries(hosts) };
  await writeFile(configFile, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  const logFile = path.join(stateDir, 'controller.log');
  const argv = inHost(lab, first.name, [process.execPath, PROGRAM, '--config', configFile]);
  const started = await startDetached(argv, { logFile, env: labEnvironment(lab) });
  const talking = await clientOf(lab);
  await withDeadline('the controller', START_MS, signal, async (inner) => {
    while (!(await answers(talking))) {
      if (!isAlive(started)) {
        const last = (await readFile(logFile, 'utf8')).trim().split('\n').at(-1) ?? '';
        throw godwitError('GODWIT_LAB', { what: `the controller ended at once: ${last}` });
      }
      await systemClock.sleep(50, inner);
    }
  });
  return talking;
}

async function clientOf(lab: Lab): Promise<Client<typeof controllerContract>> {
  const contract = (await import('../src/protocol/controller/contract.ts')).controllerContract;
  const { client } = await import('../src/rpc/client.ts');
  return client(contract, { unix: labControllerSocket(lab), peer: 'the controller' });
}

async function answers({ api }: Client<typeof controllerContract>): Promise<boolean> {
  return api.managers().then(
    () => true,
    () => false,
  );
}
