import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { cacheDirectory } from '../../../src/system/files/cache-directory.ts';
import { until } from '../../until.ts';

const MIB = 1024 ** 2;
const COMMAND_MS = 120_000;
const READY_MS = 20_000;

/** As setup made them. */
const RELEASES = { bookworm: 'Debian 12', trixie: 'Debian 13' } as const;
export type Release = keyof typeof RELEASES;
const lowerOf = (release: Release): string => path.join(cacheDirectory(), 'root', release);

/** Why no clean root can be had here; undefined where it can. */
export function noCleanRoot(release: Release = 'bookworm'): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can make a root file system';
  if (existsSync(lowerOf(release))) return undefined;
  return `setup has made no clean root of ${RELEASES[release]}`;
}

/** Has setup make the Debian 13, where it can; what is there already stays. */
export function bringDebian13(): void {
  if (process.getuid?.() !== 0) return;
  const setup = path.resolve(import.meta.dirname, '../../../tools/setup.sh');
  execFileSync('bash', [setup, '--only', 'debian'], { stdio: ['ignore', 2, 2] });
}

export interface ShellResult {
  readonly exit: number;
  readonly out: string;
}

/** A copy of the clean root, with processes, mounts and a network of its own. */
export interface CleanRoot {
  /** A process in it, whose namespaces are those of the root. */
  readonly pid: number;
  /** Its files, as this machine sees them. */
  readonly folder: string;
  /** Runs a shell's command line in it, to its end. */
  run(line: string): Promise<ShellResult>;
  /** Ends every process in it. */
  close(): Promise<void>;
}

export async function openCleanRoot(release: Release = 'bookworm'): Promise<CleanRoot> {
  const work = mkdtempSync(path.join(os.tmpdir(), 'godwit-root-'));
  const folder = path.join(work, 'root');
  for (const each of ['root', 'upper']) mkdirSync(path.join(work, each));
  const script = [
    // On memory: a layer cannot lie on one of the machine's own.
    'mount -t tmpfs tmpfs "$1/upper"',
    'mkdir "$1/upper/files" "$1/upper/work"',
    'mount -t overlay overlay -o "lowerdir=$0,upperdir=$1/upper/files,workdir=$1/upper/work" "$1/root"',
    'mount -t proc proc "$1/root/proc"',
    'mount --rbind /dev "$1/root/dev"',
    'ip link set lo up',
    'echo ready',
    'exec sleep infinity',
  ].join(' && ');
  const holder = spawn(
    'unshare',
    [
      '--mount',
      '--net',
      '--pid',
      '--uts',
      '--fork',
      '--kill-child',
      'sh',
      '-c',
      script,
      lowerOf(release),
      work,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let said = '';
  holder.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  const close = async (): Promise<void> => {
    await ended(holder);
    rmSync(work, { recursive: true, force: true });
  };
  try {
    await until('a clean root', READY_MS, () => {
      if (holder.exitCode !== null) throw new Error('the clean root could not be mounted');
      return Promise.resolve(said.includes('ready') || undefined);
    });
  } catch (error) {
    await close();
    throw error;
  }
  const first = readFileSync(`/proc/${holder.pid}/task/${holder.pid}/children`, 'utf8').trim();
  const run = (line: string): Promise<ShellResult> =>
    new Promise((resolve) => {
      const enter = ['-t', first, '-m', '-n', '-p', '-u', 'chroot', folder];
      const environment = ['env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root'];
      const options = { timeout: COMMAND_MS, maxBuffer: 16 * MIB };
      execFile(
        'nsenter',
        [...enter, ...environment, 'sh', '-c', line],
        options,
        (error, out, err) =>
          resolve({ exit: error === null ? 0 : Number(error.code ?? 1), out: out + err }),
      );
    });
  return { pid: Number(first), folder: `/proc/${first}/root${folder}`, run, close };
}

async function ended(holder: ChildProcess): Promise<void> {
  if (holder.exitCode !== null || holder.signalCode !== null) return;
  const gone = new Promise((resolve) => holder.once('exit', resolve));
  holder.kill('SIGKILL');
  await gone;
}
