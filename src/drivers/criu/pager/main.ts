import { chmodSync, rmSync } from 'node:fs';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { endWhenAsked, endWith } from './one-pager.ts';
import { LostContainer, Pager, type Listener } from './pager.ts';
import { Pages } from './pages.ts';

/**
 * Pager of one container in a separate process, which continues after its mover ends. Clients that bring pages
 * connect to the socket in its directory and exchange lines of JSON.
 */

/** Each pager has a separate socket, because keepers hold an ended pager's socket open. */
export const controlOf = (pid: number): string => `control-${pid}`;
/** CRIU's name for it. */
const LAZY_SOCKET = 'lazy-pages.socket';
export const JOURNAL = 'pager.journal';
export const PAGERS = 'pagers';
/** Exit status if no pager can continue. */
export const LOST_STATUS = 3;

export const pagerSetup = z.strictObject({
  again: z.boolean(),
});
export type PagerSetup = z.infer<typeof pagerSetup>;

const number = z.number().int().nonnegative();
/** `came`: pages of a file are here. `look`: read the files. `looked`: the restored processes were checked. */
const told = z.union([
  z.strictObject({ came: z.tuple([number, number, number]) }),
  z.strictObject({ look: z.literal(true) }),
  z.strictObject({ looked: z.literal(true) }),
]);
export const said = z.union([
  z.strictObject({ wants: z.tuple([number, number]) }),
  z.strictObject({ state: z.enum(['restored', 'all']) }),
  /** Reason why it does not read the processes' events; null once it does again. */
  z.strictObject({ waits: z.string().max(1000).nullable() }),
]);
export type PagerMessage = z.infer<typeof said>;

/** The working directory is the image directory. */
export async function servePages({ again }: PagerSetup): Promise<void> {
  endWhenAsked();
  let peer: net.Socket | undefined;
  let state: 'restored' | 'all' | undefined;
  let waits: string | undefined;
  const say = (what: PagerMessage): void => void peer?.write(`${JSON.stringify(what)}\n`);
  const tell = (now: 'restored' | 'all'): void => {
    state = now;
    say({ state: now });
  };
  const listener: Listener = {
    wants: (file, page) => say({ wants: [file, page] }),
    restored: () => tell('restored'),
    waits: (why) => {
      waits = why;
      say({ waits: why ?? null });
    },
    all: () => tell('all'),
  };
  const files = { journal: JOURNAL, pagers: PAGERS, socket: LAZY_SOCKET };
  const server = net.createServer();
  try {
    const pager = await Pager.open(new Pages('.'), files, listener);
    server.on('connection', (socket) => {
      peer?.destroy();
      peer = socket;
      socket.on('error', () => undefined);
      if (state !== undefined) say({ state });
      if (waits !== undefined) say({ waits });
      for (const wants of pager.wanted) say({ wants: [...wants] });
      hear(socket, pager);
    });
    if (again) pager.takeOver();
    else pager.begin();
    const control = controlOf(process.pid);
    rmSync(control, { force: true });
    server.listen(control, () => chmodSync(control, 0o600));
    await pager.serve();
  } catch (error) {
    if (!(error instanceof LostContainer)) return endWith(error);
    process.stderr.write(`${error.message}\n`);
    process.exitCode = LOST_STATUS;
  } finally {
    server.close();
    peer?.end();
  }
}

function hear(socket: net.Socket, pager: Pager): void {
  const lines = createInterface({ input: socket });
  // A killed mover resets its connection.
  lines.on('error', () => undefined);
  lines.on('line', (line) => {
    const word = told.parse(JSON.parse(line));
    if ('came' in word) pager.came(...word.came);
    else if ('look' in word) pager.look();
    else pager.looked();
  });
}
