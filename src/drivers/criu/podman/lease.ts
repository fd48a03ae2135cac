import { open, readFile, rm } from 'node:fs/promises';
import { systemClock } from '../../../clock.ts';
import { absent } from '../../../system/ignoring.ts';
import type { Runc } from '../runtimes/runc.ts';

/** Messages between a stand-in and its mover. */

const POLL_MS = 10;

export interface Lease {
  write(word: string): Promise<void>;
  /** Repeatable. Who reads it finds its end. */
  close(): Promise<void>;
}

/** A FIFO that only this process holds open: the kernel closes it with the process. */
export async function openLease(run: Runc['run'], file: string): Promise<Lease> {
  await rm(file, { force: true });
  await run(['mkfifo', '-m', '600', file]);
  // Open for reading too: to open it for writing alone waits for a reader.
  const handle = await open(file, 'r+');
  let isOpen = true;
  return {
    write: async (word) => {
      await handle.write(word);
    },
    close: async () => {
      if (!isOpen) return;
      isOpen = false;
      // Who comes later finds none: to open it without a writer would wait for one.
      await rm(file, { force: true });
      await handle.close();
    },
  };
}

/** The text of a file once it is there. */
export async function untilWritten(file: string, signal: AbortSignal): Promise<string> {
  for (;;) {
    const text = await readFile(file, 'utf8').catch(absent);
    if (text !== undefined) return text;
    await systemClock.sleep(POLL_MS, signal);
  }
}
