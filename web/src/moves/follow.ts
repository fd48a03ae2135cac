import type { MigrationNews } from '../../../src/protocol/controller/history.ts';
import type { WatchEvent } from './watched.ts';

/** How a page reads one stream to its end, and how it waits before it tries again. */
export interface Reading {
  /** Throws where the stream is refused or breaks. */
  readonly read: (
    path: string,
    reported: {
      readonly opened: () => void;
      readonly event: (event: { readonly event: string; readonly data: string }) => void;
    },
    until: AbortSignal,
  ) => Promise<void>;
  readonly pause: (tries: number, until: AbortSignal) => Promise<void>;
  readonly take: (news: WatchEvent) => void;
}

/** Reads a migration's stream again and again until it reports the end or the signal aborts; shows when it opens and breaks. */
export async function follow(
  path: string,
  { read, pause, take }: Reading,
  until: AbortSignal,
): Promise<void> {
  let [tries, isOver] = [0, false];
  const opened = (): void => {
    tries = 0;
    take({ type: 'stream', isOpen: true });
  };
  const event = ({ event: kind, data }: { readonly event: string; readonly data: string }) => {
    if (kind === 'reset' || kind === 'error') return;
    const news = JSON.parse(data) as MigrationNews;
    if (news.type === 'ended') isOver = true;
    take(news);
  };
  while (!until.aborted) {
    try {
      await read(path, { opened, event }, until);
    } catch {
      // That the controller is not reached is said at the top of every page.
    }
    tries += 1;
    if (until.aborted || isOver) return;
    take({ type: 'stream', isOpen: false });
    await pause(tries, until);
  }
}
