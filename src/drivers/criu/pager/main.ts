import { chmodSync } from 'node:fs';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { LostContainer, Pager } from './pager.ts';
import { Pages } from './pages.ts';

/**
 * The pager of one container, a process of its own: it goes on when the mover that began it ends. Who brings pages connects to
 * `control` in its directory, and speaks and hears lines of JSON.
 */

export const CONTROL = 'control';
/** CRIU's own name for it. */
export const LAZY_SOCKET = 'lazy-pages.socket';
export const JOURNAL = 'pager.journal';
export const READING = 'pager.reading';
/** It ended since nobody can go on with its container. */
export const LOST_STATUS = 3;

export const pagerSetup = z.strictObject({
  /** In the place of one that has ended. */
  again: z.boolean(),
});
export type PagerSetup = z.infer<typeof pagerSetup>;

const number = z.number().int().nonnegative();
/** Pages of a file that are there; whatever is there, by the files; the restored processes were looked at. */
const told = z.union([
  z.strictObject({ came: z.tuple([number, number, number]) }),
  z.strictObject({ look: z.literal(true) }),
  z.strictObject({ looked: z.literal(true) }),
]);
export const said = z.union([
  z.strictObject({ wants: z.tuple([number, number]) }),
  z.strictObject({ state: z.enum(['restored', 'all']) }),
  z.strictObject({ lost: z.string().max(1000) }),
]);
export type Said = z.infer<typeof said>;

/** Its working directory is that of the images. */
export async function servePages(setup: PagerSetup): Promise<void> {
  let peer: net.Socket | undefined;
  let state: 'restored' | 'all' | undefined;
  const say = (what: Said): void => void peer?.write(`${JSON.stringify(what)}\n`);
  const tell = (now: 'restored' | 'all'): void => {
    state = now;
    say({ state: now });
  };
  const pager = new Pager(
    new Pages('.'),
    { journal: JOURNAL, reading: READING, socket: LAZY_SOCKET },
    {
      wants: (file, page) => say({ wants: [file, page] }),
      restored: () => tell('restored'),
      all: () => tell('all'),
    },
  );
  const server = net.createServer((socket) => {
    peer?.destroy();
    peer = socket;
    socket.on('error', () => undefined);
    if (state !== undefined) say({ state });
    for (const wants of pager.wanted) say({ wants: [...wants] });
    const lines = createInterface({ input: socket });
    // A mover that was killed resets its connection.
    lines.on('error', () => undefined);
    lines.on('line', (line) => {
      const word = told.parse(JSON.parse(line));
      if ('came' in word) pager.came(...word.came);
      else if ('look' in word) pager.look();
      else pager.looked();
    });
  });
  try {
    if (setup.again) pager.takeOver();
    else pager.begin();
    server.listen(CONTROL, () => chmodSync(CONTROL, 0o600));
    await pager.serve();
  } catch (error) {
    if (!(error instanceof LostContainer)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = LOST_STATUS;
  } finally {
    server.close();
    peer?.end();
  }
}
