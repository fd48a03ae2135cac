import { access, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../clock.ts';
import { withDeadline } from '../../deadline.ts';
import { godwitError } from '../../errors.ts';
import { inHost } from '../entry.ts';
import { labEnvironment } from '../environment.ts';
import { chooseQemu } from '../guest/qemu.ts';
import { portNames } from '../network-plan.ts';
import { isAlive, type ProcessId, startDetached } from '../processes.ts';
import type { Lab } from '../state.ts';

const DEADLINE_MS = 20_000;

/**
 * Starts the relay that makes frames between the hosts' migration links wait, half of `delayMs` each
 * way. Two processes: Node, which lets them wait, and a QEMU without a machine, which is the lab's way
 * to a tap device without native code.
 */
export async function startRelay(lab: Lab, delayMs: number, signal?: AbortSignal): Promise<void> {
  const dir = path.join(lab.dir, 'relay');
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const program = fileURLToPath(new URL('relay-main.ts', import.meta.url));
  const options = { logFile: path.join(dir, 'relay.log'), env: labEnvironment(lab) };
  const relayArgv = [process.execPath, program, dir, String(delayMs / 2), ...lab.hosts];
  const relay = await startDetached(inHost(lab, 'switch', relayArgv), options);
  await waitFor(path.join(dir, 'listening'), relay, options.logFile, signal);
  const binary = await chooseQemu(undefined, signal);
  const qemuArgv = inHost(lab, 'switch', tapArgv(binary.path, dir, lab.hosts));
  const qemu = await startDetached(qemuArgv, options);
  await waitFor(path.join(dir, 'ready'), qemu, options.logFile, signal);
}

/** A hub per host joins its tap to a stream of frames. */
export function tapArgv(binary: string, dir: string, hosts: readonly string[]): string[] {
  const networks = hosts.flatMap((host, hub) =>
    [
      ['-netdev', `tap,id=tap-${host},ifname=${portNames(host).tap},script=no,downscript=no`],
      ['-netdev', `hubport,id=hub-tap-${host},hubid=${hub},netdev=tap-${host}`],
      ['-netdev', `stream,id=str-${host},server=off,addr.type=unix,addr.path=${dir}/${host}.sock`],
      ['-netdev', `hubport,id=hub-str-${host},hubid=${hub},netdev=str-${host}`],
    ].flat(),
  );
  const nothing = ['-machine', 'none', '-nodefaults', '-no-user-config', '-display', 'none'];
  return [binary, ...nothing, ...networks];
}

async function waitFor(
  file: string,
  process: ProcessId,
  logFile: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  await withDeadline("the lab's relay", DEADLINE_MS, signal, async (inner) => {
    for (;;) {
      const there = await access(file).then(
        () => true,
        () => false,
      );
      if (there) return;
      if (!(await isAlive(process))) {
        const said = (await readFile(logFile, 'utf8').catch(() => '')).trim().split('\n').at(-1);
        throw godwitError('GODWIT_LAB', {
          what: `the lab's relay ended: ${said || 'it said nothing'}`,
        });
      }
      await systemClock.sleep(10, inner);
    }
  });
}
