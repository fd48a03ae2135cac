import { useEffect, useState } from 'preact/hooks';
import type {
  FleetMigrationDetail,
  MigrationNews,
} from '../../../src/protocol/controller/history.ts';
import { pauseBefore } from '../base/connection.ts';
import { ask } from '../base/http.ts';
import { pause, readStream } from '../base/live.ts';
import { useLoaded } from '../base/load.ts';
import type { Loaded } from '../base/load.ts';
import { heard } from './open.ts';
import { UNSEEN, watchedAfter } from './watched.ts';
import type { Heard, Watched } from './watched.ts';

/** Where the stream tells nothing, the controller is asked so often, ms. */
const LOOK_MS = 2000;

/** One migration: its answer, and all that is told of it while it goes on and the page is seen. */
export function useMigration(id: string): {
  readonly found: Loaded<FleetMigrationDetail>;
  readonly watched: Watched;
} {
  const [watched, setWatched] = useState(UNSEEN);
  const isSeen = useSeen();
  const told = heard.value.get(id);
  const { isOver } = watched;
  const found = useLoaded(
    (until) => ask<FleetMigrationDetail>(path(id), { signal: until }),
    [id, told?.state, isOver],
    isOver || watched.silent === undefined ? undefined : LOOK_MS,
  );
  const take = (news: Heard): void => setWatched((before) => watchedAfter(before, news));
  const { value } = found;
  useEffect(() => {
    if (value !== undefined) take({ type: 'answer', detail: value });
  }, [value]);
  const isOpen = value?.state === 'open' && !isOver;
  useEffect(() => {
    if (!isOpen || !isSeen) return undefined;
    const ended = new AbortController();
    void follow(id, take, ended.signal);
    return () => ended.abort();
  }, [id, isOpen, isSeen]);
  return { found, watched };
}

const path = (id: string): string => `/v1/migrations/${encodeURIComponent(id)}`;

/** Reads the stream again and again until it tells the end or the signal aborts. */
async function follow(id: string, take: (news: Heard) => void, until: AbortSignal): Promise<void> {
  let [tries, isOver] = [0, false];
  while (!until.aborted && !isOver) {
    try {
      const headers = { accept: 'text/event-stream' };
      await readStream(
        `${path(id)}/progress`,
        { headers, signal: until },
        {
          opened: () => {
            tries = 0;
          },
          event: ({ event, data }) => {
            if (event === 'reset' || event === 'error') return;
            const news = JSON.parse(data) as MigrationNews;
            if (news.type === 'ended') isOver = true;
            take(news);
          },
        },
      );
    } catch {
      // That the controller is not reached is said at the top of every page.
    }
    tries += 1;
    if (!isOver) await pause(pauseBefore(tries, Math.random()), until);
  }
}

/** A browser has few connections to one place: a page that nobody sees gives its stream back. */
function useSeen(): boolean {
  const [isSeen, setSeen] = useState(document.visibilityState === 'visible');
  useEffect(() => {
    const look = (): void => setSeen(document.visibilityState === 'visible');
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, []);
  return isSeen;
}
