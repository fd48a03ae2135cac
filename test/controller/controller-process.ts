import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { issue, storeCredentials } from '../../src/pki/authority.ts';
import { controllerContract } from '../../src/protocol/controller/contract.ts';
import { client, type Api } from '../../src/rpc/client.ts';
import { tempDir } from '../rpc/test-contract.ts';
import { until } from '../until.ts';

const PROGRAM = path.resolve(import.meta.dirname, '../../src/bin/controller.ts');

export interface ControllerProcess {
  readonly name: string;
  readonly process: ChildProcess;
  readonly api: Api<typeof controllerContract>;
  /** Resolves once it is gone. */
  kill(): Promise<void>;
  /** It was killed: the same one, with what it kept. */
  again(): Promise<ControllerProcess>;
}

export interface ControllerSetup {
  readonly name: string;
  readonly caDir: string;
  readonly hosts: Readonly<Record<string, { readonly address: string }>>;
  readonly database: object;
}

/** A controller as a process of its own, which can be killed and stopped. */
export async function startProcess(
  t: TestContext,
  { name, caDir, hosts, database }: ControllerSetup,
): Promise<ControllerProcess> {
  const stateDir = tempDir(t);
  const issued = await issue({ caDir, name, role: 'controller', addresses: [] });
  storeCredentials(path.join(stateDir, 'pki'), issued, 'controller');
  const file = path.join(stateDir, 'controller.json');
  const config = { name, address: '127.0.0.1:0', stateDir, hosts, database, logLevel: 'error' };
  writeFileSync(file, JSON.stringify(config));
  return launch(t, { name, file, socket: path.join(stateDir, 'controller.sock') });
}

interface Place {
  readonly name: string;
  readonly file: string;
  readonly socket: string;
}

async function launch(t: TestContext, place: Place): Promise<ControllerProcess> {
  const { name, file, socket } = place;
  rmSync(socket, { force: true });
  const child = spawn(process.execPath, [PROGRAM, '--config', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const { api, close } = client(controllerContract, { unix: socket });
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  t.after(async () => {
    close();
    await kill();
  });
  await until(`the socket of ${name}`, 60_000, async () => (existsSync(socket) ? true : undefined));
  return { name, process: child, api, kill, again: () => launch(t, place) };
}
