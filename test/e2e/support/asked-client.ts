/** A program that is a client of a guest: it is asked by lines of its input, and answers each with a line of JSON. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { inHost } from '../../../lab/entry.ts';
import type { Lab } from '../../../lab/state.ts';

const failed = z.looseObject({ failed: z.string().optional() });

export interface AskedClient {
  /** Rejects with what the client says has failed. */
  readonly ask: (line: string) => Promise<unknown>;
  readonly stop: () => Promise<void>;
}

/** Starts it where the lab's client is; resolves once it says that it is ready. */
export async function openAskedClient(
  lab: Lab,
  file: string,
  words: readonly string[],
): Promise<AskedClient> {
  const [program = '', ...args] = inHost(lab, 'client', [process.execPath, file, ...words]);
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const heard = async (): Promise<unknown> => {
    const { value, done } = await lines.next();
    assert.ok(done !== true, `${file} ended`);
    const said = failed.parse(JSON.parse(value));
    if (said.failed !== undefined) throw new Error(said.failed);
    return said;
  };
  await heard();
  return {
    ask(line) {
      child.stdin.write(`${line}\n`);
      return heard();
    },
    async stop() {
      const exited = once(child, 'exit');
      child.stdin.end();
      await exited;
    },
  };
}
