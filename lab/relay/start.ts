import { access, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/clock.ts';
import { withDeadline } from '../../src/deadline.ts';
import { godwitError } from '../../src/errors.ts';
import { runCommand } from '../command.ts';
import { inHost } from '../entry.ts';
import { labEnvironment } from '../environment.ts';
import { portNames } from '../network-plan.ts';
import { isAlive, type ProcessIdentity } from '../../src/system/processes/process.ts';
import { startDetached } from '../processes.ts';
import type { Lab } from '../state.ts';

const DEADLINE_MS = 20_000;

/**
 * Attaches to the taps by name and becomes the program that follows, with a descriptor for each. Node
 * cannot attach to a tap: that takes an ioctl. Arguments: number of taps, their names, the program.
 */
const WITH_TAPS = String.raw`
$^F = 255; # what is opened here stays open in the program that follows
my (@taps, @descriptors);
for my $name (splice(@ARGV, 0, shift @ARGV)) {
  open(my $tap, '+<', '/dev/net/tun') or die "/dev/net/tun cannot be opened: $!\n";
  # TUNSETIFF with IFF_TAP | IFF_NO_PI, from linux/if_tun.h
  ioctl($tap, 0x400454ca, pack('a16 S x22', $name, 0x1002)) or die "no tap $name: $!\n";
  push @taps, $tap;
  push @descriptors, fileno($tap);
}
exec(@ARGV, @descriptors) or die "$ARGV[0] cannot be run: $!\n";
`;

/**
 * A receiver's window begins with two frames as large as the relay's, and TCP may take seconds to find
 * out that it should be wider: one frame per round trip until then. So it begins wide.
 */
const RECEIVE_BUFFER = '/proc/sys/net/ipv4/tcp_rmem';
const WIDE_WINDOW = `[ ! -w ${RECEIVE_BUFFER} ] || echo 4096 8388608 33554432 >${RECEIVE_BUFFER}`;

/**
 * Starts the relay that makes frames between the hosts' migration links wait, half of `delayMs` each
 * way. One process in the switch namespace, which ends with the lab.
 */
export async function startRelay(lab: Lab, delayMs: number, signal?: AbortSignal): Promise<void> {
  const dir = path.join(lab.dir, 'relay');
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await Promise.all(
    lab.hosts.map((host) => runCommand(inHost(lab, host, ['sh', '-c', WIDE_WINDOW]), { signal })),
  );
  const options = {
    logFile: path.join(dir, 'relay.log'),
    // Each tap is read by a thread that waits in it; the others are for what else Node does.
    env: { ...labEnvironment(lab), UV_THREADPOOL_SIZE: String(lab.hosts.length + 4) },
  };
  const argv = relayArgv(lab.hosts, dir, delayMs / 2);
  const relay = await startDetached(inHost(lab, 'switch', argv), options);
  await waitFor(path.join(dir, 'ready'), relay, options.logFile, signal);
}

/** The relay's command line; `delayMs` is one way. */
export function relayArgv(hosts: readonly string[], dir: string, delayMs: number): string[] {
  const program = fileURLToPath(new URL('relay-main.ts', import.meta.url));
  const taps = hosts.map((host) => portNames(host).tap);
  const relay = [process.execPath, program, dir, String(delayMs)];
  return ['perl', '-e', WITH_TAPS, String(taps.length), ...taps, ...relay];
}

async function waitFor(
  file: string,
  process: ProcessIdentity,
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
      if (!isAlive(process)) {
        const said = (await readFile(logFile, 'utf8').catch(() => '')).trim().split('\n').at(-1);
        throw godwitError('GODWIT_LAB', {
          what: `the lab's relay ended: ${said || 'it said nothing'}`,
        });
      }
      await systemClock.sleep(10, inner);
    }
  });
}
