import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { signalProcess } from '../lab/processes.ts';
import { tinyEfi } from '../test/drivers/qemu/tiny-efi.ts';
import { tinyKernel } from '../test/drivers/qemu/tiny-guest.ts';
import { until } from '../test/until.ts';
import { putAside } from './aside.ts';
import { TrialHost, below } from './host.ts';
import type { Shape } from './shape.ts';
import { wordsOf } from './shell-words.ts';

const START_MS = 20_000;
/** Pattern that must survive, and what is written to all the time, MiB: moved in milliseconds. */
const TINY = { keptMib: 4, dirtyMib: 1 };

/** Hands open files over under their numbers: a listening unix socket, a file to write to, or a tap; then it becomes the program. */
const HAND_OVER = `
use Socket; use POSIX ();
$^F = 255;
while (@ARGV && $ARGV[0] ne '--') {
  my ($number, $kind, $what) = split /=/, shift @ARGV, 3;
  my $file;
  if ($kind eq 'listens') {
    socket($file, PF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
    unlink $what; bind($file, pack_sockaddr_un($what)) or die "$what: $!"; listen($file, 4) or die "$what: $!";
  } elsif ($kind eq 'writes') {
    open($file, '>>', $what) or die "$what: $!";
  } else {
    open($file, '+<', '/dev/net/tun') or die "/dev/net/tun: $!";
    my $asked = pack('a16S x22', $what, 0x5002);
    ioctl($file, 0x400454ca, $asked) or die "$what: $!";
  }
  POSIX::dup2(fileno($file), $number) or die "dup2: $!";
}
shift @ARGV; exec { $ARGV[0] } @ARGV; die "$ARGV[0]: $!";
`;

export interface StartedShape {
  readonly host: TrialHost;
  readonly process: ChildProcess;
  /** Where the kernel lies, by which a destination finds it too. */
  readonly images: string;
  /** What it said on its standard error so far. */
  words(): Promise<string>;
  end(): Promise<void>;
}

/** The words with which a shape is started on this machine, below `root`, without the program. Pure. */
export function argvOf(shape: Shape, root: string): string[] {
  const words = putAside(wordsOf(shape.line), shape.aside).map((word) => below(root, word));
  // In place of an operating system on its disk.
  return [...words, '-kernel', path.join(root, 'images', 'tiny')];
}

/** Starts it as its manager would, by hand. */
export async function startShape(shape: Shape, binary: string): Promise<StartedShape> {
  const named = Object.values(shape.host?.files ?? {}).flatMap((what) =>
    Object.values<string>(what),
  );
  const host = await TrialHost.make(shape.host ?? {}, [...wordsOf(shape.line), ...named]);
  const { root } = host;
  const images = path.join(root, 'images');
  await mkdir(images);
  const isUefi = shape.host?.firmware !== undefined;
  await writeFile(path.join(images, 'tiny'), isUefi ? tinyEfi(TINY) : tinyKernel(TINY));
  const argv = argvOf(shape, root);
  const given = Object.entries(shape.host?.files ?? {}).flatMap(([number, what]) =>
    Object.entries(what).map(([kind, name]) => `${number}=${kind}=${below(root, name)}`),
  );
  const said = path.join(root, 'qemu.err');
  const log = await open(said, 'w');
  const child = spawn('perl', ['-e', HAND_OVER, '--', ...given, '--', binary, ...argv], {
    stdio: ['ignore', log.fd, log.fd],
    cwd: root,
  });
  await log.close();
  const words = (): Promise<string> => readFile(said, 'utf8');
  const started = { host, process: child, images, words, end: () => endOf(child, host) };
  try {
    await until('QEMU to have started', START_MS, () => running(child, words));
    return started;
  } catch (error) {
    await started.end();
    throw error;
  }
}

async function endOf(child: ChildProcess, host: TrialHost): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }
  await endDestinations(host);
  await host.remove();
}

/** A move that broke may leave a QEMU at its destination: the next guest of that name would be another one there. */
async function endDestinations({ root }: TrialHost): Promise<void> {
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const words = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    const isOwn = /qemu-system/.test(words.split('\0')[0] ?? '') && words.includes(`${root}/`);
    if (isOwn) signalProcess(Number(entry), 'SIGKILL');
  }
}

async function running(
  child: ChildProcess,
  words: () => Promise<string>,
): Promise<true | undefined> {
  if (child.exitCode !== null) {
    throw new Error(`QEMU ended with ${child.exitCode}: ${(await words()).slice(-1500)}`);
  }
  // Setup's QEMU is a script that becomes the program.
  const own = await readFile(`/proc/${child.pid}/cmdline`, 'utf8').catch(() => '');
  return path.basename(own.split('\0')[0] ?? '').startsWith('qemu-system') ? true : undefined;
}
