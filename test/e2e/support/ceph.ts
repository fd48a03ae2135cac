import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { askCeph, cephArgv, cephBin } from '../../../lab/ceph.ts';
import { namespaceOf } from '../../../lab/plan.ts';
import { processesInNamespaces, signalProcess } from '../../../lab/processes.ts';
import type { Lab } from '../../../lab/state.ts';

const ROOT = path.join(import.meta.dirname, '../../..');

/** The Ceph of a lab, as its administrator. */
export interface LabCeph {
  ask(program: string, ...words: string[]): Promise<string>;
  /** Has an image open until it is stopped. */
  watch(image: string): () => Promise<void>;
  /** Whether its monitor is stalled. */
  freeze(frozen: boolean): Promise<void>;
}

/** Brings Ceph where it is missing. */
export function setUpCeph(): void {
  const setup = path.join(ROOT, 'tools/setup.sh');
  execFileSync('bash', [setup, '--only', 'ceph'], { stdio: ['ignore', 2, 2] });
}

export function cephOf(lab: Lab): LabCeph {
  return {
    ask: (program, ...words) => askCeph(lab, program, ...words),
    watch: (image) => {
      const [first = '', ...rest] = cephArgv(lab, 'rbd', ['watch', image]);
      const watcher = spawn(first, rest, { stdio: ['pipe', 'ignore', 'ignore'] });
      const ended = once(watcher, 'exit');
      return async () => {
        watcher.stdin.end('\n');
        await ended;
      };
    },
    freeze: async (frozen) => {
      const inode = lab.namespaces[namespaceOf(lab.name, 'rbd')] ?? 0;
      const monitor = path.join(path.dirname(cephBin()), 'usr/bin/ceph-mon');
      for (const { pid, argv } of await processesInNamespaces(new Set([inode]))) {
        if (argv[0] === monitor) signalProcess(pid, frozen ? 'SIGSTOP' : 'SIGCONT');
      }
    },
  };
}
