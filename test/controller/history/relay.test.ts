import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { systemClock } from '../../../src/clock.ts';
import type { AgentClients } from '../../../src/controller/engine/agent-clients.ts';
import { openRow } from '../../../src/controller/history/record.ts';
import { MigrationStreams, type RelayDependencies } from '../../../src/controller/history/relay.ts';
import type { ListedMigration } from '../../../src/controller/store/migrations.ts';
import { hasCode } from '../../../src/errors.ts';
import type { MigrationNews } from '../../../src/protocol/controller/history.ts';
import type { Progress } from '../../../src/protocol/public/migration.ts';
import { until } from '../../until.ts';
import { summary } from './hosts.ts';

/** A host whose agent reports of one migration what the test says, and counts who listens. */
class Host {
  readonly #said: Progress[] = [];
  #go = Promise.withResolvers<void>();
  listening = 0;
  opened = 0;
  /** Its row in the database; the test ends it. */
  readonly row: ListedMigration;

  constructor() {
    const made = openRow(summary(1, { phase: 'memory' }), 'a', 1000);
    this.row = { ...made, ended_at: null } as unknown as ListedMigration;
  }

  say(percent: number): void {
    this.#said.push(summary(1, { phase: 'memory', percent }));
    this.#go.resolve();
    this.#go = Promise.withResolvers();
  }

  get parts(): RelayDependencies {
    const events = (_asked: unknown, { signal }: { signal: AbortSignal }) => this.#events(signal);
    const report = async () => ({ id: 'm-00000001', outcome: 'running' });
    const agents = { at: () => ({ events, report }) } as unknown as AgentClients;
    const find = async (id: string) =>
      id === 'm-00000001' ? [{ row: this.row, report: null }] : [];
    const get = async ({ id }: { readonly id: string }) => (await find(id))[0];
    return { clock: systemClock, agents, migrations: { find, get } };
  }

  async *#events(signal: AbortSignal): AsyncGenerator<Progress> {
    this.opened += 1;
    this.listening += 1;
    const gone = once(signal, 'abort');
    try {
      for (let at = 0; !signal.aborted;) {
        const next = this.#said[at];
        if (next === undefined) await Promise.race([this.#go.promise, gone]);
        else {
          at += 1;
          yield next;
        }
      }
    } finally {
      this.listening -= 1;
    }
  }
}

interface Viewer {
  readonly news: MigrationNews[];
  readonly leave: () => void;
  readonly over: Promise<void>;
}

function view(streams: MigrationStreams, id = 'm-00000001'): Viewer {
  const gone = new AbortController();
  const news: MigrationNews[] = [];
  const over = (async () => {
    for await (const each of streams.follow(id, undefined, gone.signal)) news.push(each);
  })();
  return { news, leave: () => gone.abort(), over };
}

const percents = (news: readonly MigrationNews[]): number[] =>
  news.flatMap((each) => (each.type === 'progress' ? [each.progress.percent] : []));

test('a hundred viewers of one migration share one stream, which ends with the last of them', async () => {
  const host = new Host();
  const streams = new MigrationStreams(host.parts);
  const viewers = Array.from({ length: 100 }, () => view(streams));
  host.say(10);
  const all = (percent: number) =>
    viewers.every(({ news }) => percents(news).at(-1) === percent) ? true : undefined;
  await until('the first step', 5000, async () => all(10));
  host.say(20);
  await until('the second step', 5000, async () => all(20));
  assert.deepEqual([host.opened, host.listening], [1, 1]);
  assert.ok(viewers.every(({ news }) => news.every(({ type }) => type !== 'silent')));
  // What goes to all of them is one object, whose text is made once.
  assert.equal(new Set(viewers.map(({ news }) => news[0])).size, 1);
  const [first, ...rest] = viewers;
  for (const each of rest) each.leave();
  await Promise.all(rest.map(({ over }) => over));
  assert.equal(host.listening, 1);
  first?.leave();
  await first?.over;
  await until('the stream to end', 5000, async () => (host.listening === 0 ? true : undefined));
});

test('a late viewer gets the present state and then the news', async () => {
  const host = new Host();
  const streams = new MigrationStreams(host.parts);
  const early = view(streams);
  for (const percent of [10, 20, 30]) host.say(percent);
  await until('the third', 5000, async () =>
    percents(early.news).at(-1) === 30 ? true : undefined,
  );
  const late = view(streams);
  await until('how it stands', 5000, async () => late.news[1]);
  assert.deepEqual(percents(late.news), [30]);
  assert.ok(late.news.some(({ type }) => type === 'report'));
  host.say(40);
  await until('the next', 5000, async () => (percents(late.news).at(-1) === 40 ? true : undefined));
  for (const each of [early, late]) each.leave();
  await Promise.all([early.over, late.over]);
});

test('a viewer that reads nothing delays no other, and continues with the present state', async () => {
  const host = new Host();
  const streams = new MigrationStreams(host.parts);
  const signal = new AbortController().signal;
  const slow = streams.follow('m-00000001', undefined, signal);
  const quick = view(streams);
  host.say(0);
  await slow.next();
  for (let nth = 1; nth <= 500; nth += 1) host.say(nth / 5);
  await until('the last', 5000, async () =>
    percents(quick.news).at(-1) === 100 ? true : undefined,
  );
  const had: MigrationNews[] = [];
  while (percents(had).at(-1) !== 100) {
    const { value } = (await slow.next()) as { value: MigrationNews };
    had.push(value);
  }
  assert.ok(had.length <= 66, `${had.length} news for one that is 500 behind`);
  await slow.return(undefined);
  quick.leave();
  await quick.over;
});

test('the end is the last event for each viewer', async () => {
  const host = new Host();
  const ended = { ...host.parts, agents: { at: () => undefined } };
  Object.assign(host.row, { ended_at: 2000, outcome: 'done' });
  const streams = new MigrationStreams(ended);
  const viewers = [view(streams), view(streams)];
  await Promise.all(viewers.map(({ over }) => over));
  for (const { news } of viewers)
    assert.deepEqual(
      news.map(({ type }) => type),
      ['ended'],
    );
});

test('an unknown migration is refused to each viewer, and is requested again', async () => {
  const streams = new MigrationStreams(new Host().parts);
  const viewers = [view(streams, 'm-00000002'), view(streams, 'm-00000002')];
  for (const { over } of viewers)
    await assert.rejects(over, (thrown) => hasCode(thrown, 'GODWIT_MIGRATION_UNKNOWN'));
  await setImmediate();
  const { over } = view(streams, 'm-00000002');
  await assert.rejects(over, (thrown) => hasCode(thrown, 'GODWIT_MIGRATION_UNKNOWN'));
});
