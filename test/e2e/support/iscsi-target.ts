import { execFile, execFileSync, spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from '../../../src/host/cache-directory.ts';
import { inHost } from '../../../src/lab/entry.ts';
import type { Lab } from '../../../src/lab/state.ts';
import { labHost } from '../../../src/lab/state.ts';
import { until } from '../../until.ts';

const run = promisify(execFile);
const ROOT = path.join(import.meta.dirname, '../../..');

/** A real iSCSI target (tgt) on a host of a lab. It ends with the lab, as all processes in its namespaces do. */
export interface LabTarget {
  readonly portal: string;
  /** A target of `name` with these files as its LUNs, from 1 on. */
  add(name: string, files: readonly string[]): Promise<void>;
  /** Whether a process of it stands still. */
  freeze(frozen: boolean): void;
}

/** Brings tgt where it is missing. */
export function setUpTarget(): void {
  const setup = path.join(ROOT, 'tools/setup.sh');
  execFileSync('bash', [setup, '--only', 'iscsi'], { stdio: ['ignore', 2, 2] });
}

export async function startTarget(
  lab: Lab,
  { host, port, dir }: { readonly host: string; readonly port: number; readonly dir: string },
): Promise<LabTarget> {
  const top = path.join(cacheDirectory(), 'iscsi');
  const portal = `${labHost(lab, host).address}:${port}`;
  await mkdir(dir, { recursive: true });
  const libraries = ['usr/lib', 'lib'].map((part) => path.join(top, part, 'x86_64-linux-gnu'));
  const env = {
    ...process.env,
    LD_LIBRARY_PATH: libraries.join(':'),
    TGT_IPC_SOCKET: path.join(dir, 'tgt.sock'),
  };
  const inside = (program: string, words: readonly string[]): [string, string[]] => {
    const [first = '', ...rest] = inHost(lab, host, [
      path.join(top, 'usr/sbin', program),
      ...words,
    ]);
    return [first, rest];
  };
  const daemon = spawn(...inside('tgtd', ['-f', '--iscsi', `portal=${portal}`]), {
    env,
    stdio: 'ignore',
  });
  const ask = (...words: string[]) =>
    run(...inside('tgtadm', ['--lld', 'iscsi', ...words]), { env });
  await until('the target to answer', 10_000, () =>
    ask('--op', 'show', '--mode', 'sys').then(
      () => true,
      () => undefined,
    ),
  );
  let count = 0;
  return {
    portal,
    add: async (name, files) => {
      const tid = String(++count);
      await ask('--op', 'new', '--mode', 'target', '--tid', tid, '-T', name);
      for (const [index, file] of files.entries()) {
        const lun = String(index + 1);
        await ask('--op', 'new', '--mode', 'logicalunit', '--tid', tid, '--lun', lun, '-b', file);
      }
      await ask('--op', 'bind', '--mode', 'target', '--tid', tid, '-I', 'ALL');
    },
    freeze: (frozen) => void daemon.kill(frozen ? 'SIGSTOP' : 'SIGCONT'),
  };
}
