import { useEffect, useState } from 'preact/hooks';
import type { FleetMigrationDetail } from '../../../src/protocol/controller/history.ts';
import { pauseBefore } from '../base/connection.ts';
import { ask } from '../base/http.ts';
import { pause, readStream } from '../base/live.ts';
import { useLoaded, type LoadState } from '../base/load.ts';
import { follow, type Reading } from './follow.ts';
import { heard } from './open.ts';
import {
  askingEveryMs,
  UNSEEN,
  watchedAfter,
  type WatchEvent,
  type WatchedMigration,
} from './watched.ts';

/** One migration: its answer, and all that is reported of it while it goes on and the page is seen. */
export function useMigration(id: string): {
  readonly found: LoadState<FleetMigrationDetail>;
  readonly watched: WatchedMigration;
} {
  const [watched, setWatched] = useState(UNSEEN);
  const isSeen = useSeen();
  const reported = heard.value.get(id);
  const { isOver } = watched;
  const found = useLoaded(
    (until) => ask<FleetMigrationDetail>(path(id), { signal: until }),
    [id, reported?.state, isOver],
    askingEveryMs(watched),
  );
  const take = (news: WatchEvent): void => setWatched((before) => watchedAfter(before, news));
  const { value } = found;
  useEffect(() => {
    if (value !== undefined) take({ type: 'answer', detail: value });
  }, [value]);
  const isOpen = value?.state === 'open' && !isOver;
  useEffect(() => {
    if (!isOpen || !isSeen) return undefined;
    const ended = new AbortController();
    const wait: Reading['pause'] = (tries, until) =>
      pause(pauseBefore(tries, Math.random()), until);
    void follow(`${path(id)}/progress`, { read, pause: wait, take }, ended.signal);
    return () => ended.abort();
  }, [id, isOpen, isSeen]);
  return { found, watched };
}

const path = (id: string): string => `/v1/migrations/${encodeURIComponent(id)}`;

const read: Reading['read'] = (path, reported, signal) =>
  readStream(path, { headers: { accept: 'text/event-stream' }, signal }, reported);

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
