import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../src/clock.ts';
import { godwitError } from '../src/errors.ts';
import { runCommand } from './command.ts';
import type { LabEntry } from './entry.ts';
import { labEnvironment } from './environment.ts';
import { isAlive } from '../src/system/processes/process.ts';
import { signalProcess, startDetached } from './processes.ts';

/**
 * What the holder does before it waits: named namespaces need a writable /run, which the user's own
 * runtime directory (where the lab may be) must survive.
 */
const HOLDER_SCRIPT = `
set -e
cd /run/user 2>/dev/null || cd /
here=$(pwd)
mount -t tmpfs -o mode=0755 tmpfs /run
if [ "$here" = /run/user ]; then
  mkdir -p /run/user
  mount --no-canonicalize --rbind . /run/user
fi
cd /
mkdir -p /run/netns
ip link set lo up
: >"$1"
exec sleep infinity
`;

const START_DEADLINE_MS = 10_000;

/** Refuses, in the words of \`doctor\`, where a lab without root is not possible. */
export async function checkLabPrivilege(): Promise<void> {
  try {
    await access('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch (cause) {
    throw godwitError(
      'GODWIT_PRIVILEGE',
      { what: 'a lab', needs: '/dev/net/tun to be there and open to this user' },
      { hint: 'As root: modprobe tun; chmod 0666 /dev/net/tun - or run the lab as root.', cause },
    );
  }
  if (process.getuid?.() === 0) return;
  try {
    await runCommand(['unshare', '-Urnm', 'true']);
  } catch (cause) {
    throw godwitError(
      'GODWIT_PRIVILEGE',
      { what: 'a lab without root', needs: 'user namespaces, which this machine does not allow' },
      {
        hint: 'Allow them (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns=0) or run the lab as root.',
        cause,
      },
    );
  }
}

/** Makes the lab's user namespace; the holder process keeps it until labDown ends it. */
export async function startHolder(dir: string, signal: AbortSignal | undefined): Promise<LabEntry> {
  const logFile = path.join(dir, 'holder.log');
  const ready = path.join(dir, 'holder.ready');
  const argv = [
    'unshare',
    '-Urnm',
    '--propagation',
    'private',
    'sh',
    '-c',
    HOLDER_SCRIPT,
    'godwit-lab-holder',
    ready,
  ];
  const holder = await startDetached(argv, { logFile, env: labEnvironment({ dir }) });
  const start = systemClock.monotonicMs();
  try {
    for (;;) {
      const present = await access(ready).then(
        () => true,
        () => false,
      );
      if (present) break;
      if (!isAlive(holder) || systemClock.monotonicMs() - start > START_DEADLINE_MS) {
        throw godwitError('GODWIT_LAB', {
          what: `the lab's user namespace could not be set up; see ${logFile}`,
        });
      }
      await systemClock.sleep(10, signal);
    }
  } catch (error) {
    signalProcess(holder.pid, 'SIGKILL');
    throw error;
  }
  return { kind: 'user', holderPid: holder.pid, holderStartTicks: holder.startTicks };
}
