/** A client that inserts rows into a guest's PostgreSQL, and pgbench beside it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { runCommand } from '../../../lab/command.ts';
import { inHost } from '../../../lab/entry.ts';
import type { Lab } from '../../../lab/state.ts';
import { openAskedClient } from './asked-client.ts';

const CLIENT = fileURLToPath(new URL('rows-main.ts', import.meta.url));
const FILL_MS = 120_000;

const look = z.object({
  /** Acknowledged. */
  rows: z.number(),
  /** The longest that one of them took since the client was told to forget, ms. */
  longestMs: z.number(),
  broken: z.array(z.string()),
});
const judged = z.object({ wrong: z.array(z.string()) });

export interface RowsClient {
  write(): Promise<void>;
  /** Resolves once all that was sent is answered. */
  pause(): Promise<void>;
  forget(): Promise<void>;
  look(): Promise<z.infer<typeof look>>;
  /** What is not there as it was acknowledged, and once; to be asked while it pauses. */
  check(): Promise<readonly string[]>;
  /** Connects anew, to a system that was booted again. */
  again(): Promise<void>;
  stop(): Promise<void>;
}

export async function openRowsClient(lab: Lab, address: string): Promise<RowsClient> {
  const { ask, stop } = await openAskedClient(lab, CLIENT, [address]);
  return {
    write: async () => void (await ask('write')),
    pause: async () => void (await ask('pause')),
    forget: async () => void (await ask('forget')),
    look: async () => look.parse(await ask('look')),
    check: async () => judged.parse(await ask('check')).wrong,
    again: async () => void (await ask('again')),
    stop,
  };
}

export interface Pgbench {
  /** Ends it after the transactions under way; how many it has had acknowledged. */
  end(): Promise<number>;
}

/** Fills its tables, and has two clients work on them at a rate that leaves an emulated processor time for others. */
export async function startPgbench(lab: Lab, address: string): Promise<Pgbench> {
  const program = globSync('/usr/lib/postgresql/*/bin/pgbench').toSorted().at(-1) ?? 'pgbench';
  const place = ['--host', address, '--username', 'postgres', 'postgres'];
  await runCommand(inHost(lab, 'client', [program, '-q', '-i', '-s', '1', ...place]), {
    deadlineMs: FILL_MS,
  });
  const words = ['-c', '2', '-R', '10', '-T', '3600', '--no-vacuum', ...place];
  const [first = '', ...args] = inHost(lab, 'client', [program, ...words]);
  const child = spawn(first, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const said = text(child.stdout);
  return {
    async end() {
      const exited = once(child, 'exit');
      // As at the end of its time.
      child.kill('SIGALRM');
      await exited;
      const summary = await said;
      assert.match(summary, /number of failed transactions: 0 /, summary);
      return Number(/number of transactions actually processed: (\d+)/.exec(summary)?.[1]);
    },
  };
}

/** Where the client takes PostgreSQL's programs from. */
export async function bringPgbench(): Promise<void> {
  const setup = path.resolve(import.meta.dirname, '../../../tools/setup.sh');
  await runCommand(['bash', setup, '--only', 'postgres'], { deadlineMs: 300_000 });
}
