import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { toGodwitError, godwitError } from '../../errors.ts';
import { pass, refusal, type NamedCheck } from '../../migration/preflight/check.ts';
import { Mutex } from '../../mutex.ts';
import { removeTree } from '../../system/files/remove-tree.ts';
import { canaryProgram } from './canary-program.ts';
import type { Runc } from './runtimes/runc.ts';

/**
 * Test dump and restore of a small process with a TCP socket, because `criu check` misses incompatibilities with
 * a newer kernel. Success is kept; a failure, such as a full disk, is tested again.
 */

/**
 * Process that listens on TCP and sleeps, for other architectures, which need perl. Node is unsuitable: CRIU
 * cannot dump its io_uring.
 */
const IN_PERL =
  'use IO::Socket::INET; my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die; $| = 1; print "ready"; sleep 600';

const HINT =
  'Run `tools/setup.sh --only containers` for a CRIU that works with this kernel, and name its directory in `drivers.criu.programs`.';

export class Canary {
  readonly #runc: Runc;
  readonly #directory: string;
  readonly #mutex = new Mutex();
  #works = false;

  constructor(runc: Runc, directory: string) {
    this.#runc = runc;
    this.#directory = directory;
  }

  whyNot(signal: AbortSignal): Promise<string | undefined> {
    return this.#mutex.run(async () => {
      this.#works ||= await this.#isKept(signal);
      if (this.#works) return undefined;
      const why = await this.#sing(signal);
      this.#works = why === undefined;
      return why;
    });
  }

  async check(
    host: string,
    side: 'source' | 'destination',
    signal: AbortSignal,
  ): Promise<NamedCheck> {
    const why = await this.whyNot(signal);
    if (why === undefined)
      return pass('stream', `CRIU of ${host} dumps and restores a process with TCP`, side);
    const facts = { what: `CRIU on ${host}`, reason: why };
    return refusal('stream', godwitError('GODWIT_CAPABILITY', facts, { hint: HINT }), side);
  }

  /** True if an earlier process recorded success with the same programs and kernel. */
  async #isKept(signal: AbortSignal): Promise<boolean> {
    const text = await readFile(this.#file, 'utf8').catch(() => '');
    return text.split('\n', 1)[0] === (await this.#key(signal));
  }

  get #file(): string {
    return path.join(this.#directory, '.canary');
  }

  async #key(signal: AbortSignal): Promise<string> {
    const { criu } = await this.#runc.versions(signal);
    const kernel = await readFile('/proc/sys/kernel/osrelease', 'utf8');
    return `${criu} ${kernel.trim()} ${this.#runc.programs ?? ''}`;
  }

  async #sing(signal: AbortSignal): Promise<string | undefined> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const images = await mkdtemp(path.join(this.#directory, '.canary-'));
    try {
      await this.#dumpAndRestore(images, signal);
    } catch (error) {
      signal.throwIfAborted();
      return toGodwitError(error).message.slice(0, 600);
    } finally {
      await removeTree(images);
    }
    await writeFile(this.#file, `${await this.#key(signal)}\n`, { mode: 0o600 });
    return undefined;
  }

  /** Uses a separate PID namespace, so that the restored process can have its original pid. */
  async #dumpAndRestore(images: string, signal: AbortSignal): Promise<void> {
    const isOwn = process.arch === 'x64';
    if (isOwn) await writeFile(path.join(images, 'program'), canaryProgram());
    const begin = isOwn
      ? // Godwit's state directory may be mounted noexec, and a newly written file may be busy.
        [
          `mount --bind ${images} ${images}`,
          `mount -o remount,bind,exec ${images}`,
          `cd ${images}`,
          'cp program run',
          'chmod 700 run',
        ]
      : [
          'command -v perl >/dev/null || { echo "perl is not installed" >&2; exit 1; }',
          `cd ${images}`,
        ];
    const program = isOwn ? './run' : `perl -e '${IN_PERL}'`;
    const script = [
      'set -e',
      'ip link set lo up',
      ...begin,
      `setsid ${program} </dev/null >${images}/ready 2>/dev/null & pid=$!`,
      'n=0; until [ -s ready ] || [ $n -ge 100 ]; do sleep 0.05; n=$((n+1)); done',
      `criu dump -t $pid -D ${images} -o dump.log --tcp-established --network-lock skip || { tail -n 3 dump.log >&2; kill -9 $pid; exit 1; }`,
      `criu restore -d -D ${images} -o restore.log --tcp-established --network-lock skip || { tail -n 3 restore.log >&2; exit 1; }`,
    ].join('\n');
    const argv = ['unshare', '--pid', '--fork', '--mount-proc', '--net', 'sh', '-c', script];
    await this.#runc.run(argv, { signal, deadlineMs: 20_000 });
  }
}
