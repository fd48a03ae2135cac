import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { issue, storeCredentials } from '../../src/pki/authority.ts';
import { systemClock } from '../../src/clock.ts';
import { withDeadline } from '../../src/deadline.ts';
import { godwitError } from '../../src/errors.ts';
import { isAlive } from '../../src/system/processes/process.ts';
import { inHost } from '../../lab/entry.ts';
import { labEnvironment } from '../../lab/environment.ts';
import { AGENT_PORT } from '../../lab/plan.ts';
import { startDetached } from '../../lab/processes.ts';
import type { Lab } from '../../lab/state.ts';
import { controllerContract } from '../../src/protocol/controller/contract.ts';
import { client, type Client } from '../../src/rpc/client.ts';
import { buildWeb } from '../../tools/web.ts';
import { openForward, serveForward } from './forward.ts';

const PROGRAM = fileURLToPath(new URL('../../src/bin/controller.ts', import.meta.url));
/** Where a controller of a clone looks for its pages. */
const PAGES = path.resolve(import.meta.dirname, '../../dist/web');
const START_DEADLINE_MS = 60_000;
const LOOK_MS = 100;
const NAME = 'control';

/** A controller that follows every host of the lab, with its dashboard. */
export interface FleetController {
  readonly client: Client<typeof controllerContract>;
  /** `https://127.0.0.1:PORT`, for a browser on this machine. */
  readonly url: string;
  /** The secret of an operator's token. */
  readonly token: string;
  /** For `--controller`. */
  readonly socket: string;
  /** By which a browser may know the dashboard. */
  readonly caFile: string;
}

/** Starts it on the last host of the lab; its files and processes are the lab's and go with it. */
export async function startFleetController(
  lab: Lab,
  signal: AbortSignal,
): Promise<FleetController> {
  buildWeb(PAGES);
  const host = lab.hosts.at(-1) ?? '';
  const stateDir = path.join(lab.dir, 'controller');
  await mkdir(stateDir, { mode: 0o700 });
  const caDir = path.join(lab.dir, 'ca');
  const addresses = ['127.0.0.1'];
  const issued = await issue({ caDir, name: NAME, role: 'controller', addresses });
  storeCredentials(path.join(stateDir, 'pki'), issued, 'controller');
  const forward = await openForward();
  const config = {
    name: NAME,
    address: '127.0.0.1:0',
    stateDir,
    hosts: Object.fromEntries(
      lab.members.map(({ name, address }) => [name, { address: `${address}:${AGENT_PORT}` }]),
    ),
    web: { address: `127.0.0.1:${forward.port}` },
  };
  const configFile = path.join(stateDir, 'controller.json');
  await writeFile(configFile, JSON.stringify(config), { mode: 0o600 });
  const logFile = path.join(stateDir, 'controller.log');
  const argv = inHost(lab, host, [process.execPath, PROGRAM, '--config', configFile]);
  const started = await startDetached(argv, { logFile, env: labEnvironment(lab) });
  await serveForward(lab, host, forward, signal);
  const socket = path.join(stateDir, 'controller.sock');
  const talking = client(controllerContract, { unix: socket, peer: 'the controller' });
  await withDeadline('the controller', START_DEADLINE_MS, signal, async (inner) => {
    while (!(await followsAll(talking, lab))) {
      if (!isAlive(started)) {
        const said = (await readFile(logFile, 'utf8')).trim().split('\n').at(-1) ?? '';
        throw godwitError('GODWIT_LAB', { what: `the controller ended at once: ${said}` });
      }
      await systemClock.sleep(LOOK_MS, inner);
    }
  });
  const { token } = await talking.api.createToken({ body: { name: 'you', role: 'operator' } });
  const url = `https://127.0.0.1:${forward.port}`;
  return { client: talking, url, token, socket, caFile: path.join(caDir, 'ca.crt') };
}

async function followsAll({ api }: FleetController['client'], lab: Lab): Promise<boolean> {
  const { hosts } = await api.hosts().catch(() => ({ hosts: [] }));
  return hosts.filter(({ state }) => state === 'up').length === lab.hosts.length;
}
