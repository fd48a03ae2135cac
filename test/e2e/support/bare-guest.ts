/** QEMUs that the lab did not start: a machine without a system on it, up in a moment, to be refused or listed. */
import { rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { inHost } from '../../../lab/entry.ts';
import { labEnvironment } from '../../../lab/environment.ts';
import { chooseQemu } from '../../../lab/guest/qemu.ts';
import { isAlive, type ProcessIdentity } from '../../../src/system/processes/process.ts';
import { endProcesses, startDetached } from '../../../lab/processes.ts';

import { askQemu } from '../../../lab/witness/monitor.ts';
import { until } from '../../until.ts';
import type { World } from './world.ts';

export interface BareGuestRequest {
  readonly name: string;
  readonly host: string;
  /** More of QEMU's command line. */
  readonly args?: readonly string[];
  readonly memory?: string;
  /** A second monitor, for the test alone; default true. Without it the test asks over the one that Godwit finds. */
  readonly ownMonitor?: boolean;
  /** A version; default the newest. */
  readonly qemu?: string;
}

export interface BareGuest {
  readonly name: string;
  readonly process: ProcessIdentity;
  /** The socket that Godwit finds first. */
  readonly qmp: string;
  /** Asks over the test's own monitor. */
  ask(command: string, args?: Record<string, unknown>): Promise<unknown>;
  /** QMP's run state. */
  status(): Promise<string>;
  stop(): Promise<void>;
}

/** Starts one and waits until its monitor answers. The lab's end takes it down at the latest. */
export async function startBareGuest(
  { lab }: World,
  request: BareGuestRequest,
): Promise<BareGuest> {
  const { name, host, args = [], memory = '64M', ownMonitor = true } = request;
  const dir = path.join(lab.dir, 'bare', `${host}-${name}`);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const qemu = await chooseQemu(request.qemu);
  const qmp = `${dir}/qmp.sock`;
  const own = ownMonitor ? `${dir}/own.sock` : qmp;
  const monitors = new Set([qmp, own]);
  const argv = [
    qemu.path,
    ...`-name ${name} -machine q35 -accel tcg -cpu max -m ${memory}`.split(' '),
    ...'-nodefaults -no-user-config -display none'.split(' '),
    ...[...monitors].flatMap((socket) => ['-qmp', `unix:${socket},server=on,wait=off`]),
    ...args,
  ];
  const started = await startDetached(inHost(lab, host, argv), {
    logFile: `${dir}/qemu.log`,
    env: labEnvironment(lab),
  });
  const ask = (command: string, given: Record<string, unknown> = {}): Promise<unknown> =>
    askQemu(own, command, given);
  const status = async (): Promise<string> =>
    ((await ask('query-status')) as { status: string }).status;
  const stop = async (): Promise<void> => {
    await endProcesses(async () => (isAlive(started) ? [started] : []), { graceMs: 2000 });
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await until(`${name} to answer`, 10_000, async () => {
      if (!isAlive(started)) throw new Error(`${name} ended at once: ${dir}/qemu.log`);
      return status().catch(() => undefined);
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { name, process: started, qmp, ask, status, stop };
}
