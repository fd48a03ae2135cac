import { open, readFile, rm } from 'node:fs/promises';
import { systemClock } from '../../../clock.ts';
import { absent } from '../../../system/ignoring.ts';
import type { Runc } from '../runtimes/runc.ts';

const POLL_MS = 10;

export interface Lease {
  write(word: string): Promise<void>;
  /** Can be repeated. The reader sees the end. */
  close(): Promise<void>;
}

/** FIFO that only this process holds open: the kernel closes it with the process. */
export async function openLease(run: Runc['run'], file: string): Promise<Lease> {
  await rm(file, { force: true });
  await run(['mkfifo', '-m', '600', file]);
  // The pipe is also opened for reading, because a write-only open waits for a reader.
  const handle = await open(file, 'r+');
  let isOpen = true;
  return {
    write: async (word) => {
      await handle.write(word);
    },
    close: async () => {
      if (!isOpen) return;
      isOpen = false;
      // Removed, because a later reader would wait for a writer.
      await rm(file, { force: true });
      await handle.close();
    },
  };
}

export async function untilWritten(file: string, signal: AbortSignal): Promise<string> {
  for (;;) {
    const text = await readFile(file, 'utf8').catch(absent);
    if (text !== undefined) return text;
    await systemClock.sleep(POLL_MS, signal);
  }
}
