import { X509Certificate } from 'node:crypto';
import { statfs } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../../clock.ts';
import { withDeadline } from '../../deadline.ts';
import { toGodwitError } from '../../errors.ts';
import type { Fleet } from '../../host/fleet.ts';
import type { Log } from '../../log.ts';
import { Poller } from '../../poller.ts';
import type { OwnProblem } from '../../protocol/controller/own-problems.ts';
import type { Credentials } from '../../rpc/tls.ts';
import type { Store } from '../store/store.ts';
import type { StorePlace } from '../store/open.ts';
import { NO_FACTS, problemsIn, type DiskRoom, type OwnFacts } from './own-problems.ts';

const LOOK_MS = 15_000;
const ANSWER_MS = 10_000;

export interface OwnWatchDependencies {
  readonly store: Pick<Store, 'db'>;
  readonly database: StorePlace;
  readonly stateDir: string;
  readonly credentials: Pick<Credentials, 'cert' | 'current'>;
  readonly fleet: Pick<Fleet, 'list'>;
  readonly clock: Clock;
  readonly log: Log;
}

export class OwnWatch {
  readonly #deps: OwnWatchDependencies;
  readonly #looks: Poller;
  #facts: OwnFacts = NO_FACTS;
  /** Each problem is logged once while it lasts. */
  #logged: ReadonlySet<string> = new Set();

  constructor(deps: OwnWatchDependencies) {
    this.#deps = deps;
    this.#looks = new Poller(deps);
  }

  get facts(): OwnFacts {
    return this.#facts;
  }

  problems(): OwnProblem[] {
    return problemsIn(this.#facts, this.#deps.clock.wallMs());
  }

  start(): void {
    this.#looks.start(LOOK_MS, () => this.look(), 'state of the controller not read');
  }

  async close(): Promise<void> {
    await this.#looks.close();
  }

  async look(): Promise<void> {
    const [disks, database] = await Promise.all([this.#disks(), this.#database()]);
    this.#facts = { disks, database, ...this.#certificate(), ...this.#list() };
    const problems = this.problems();
    for (const { about, severity, words } of problems)
      if (!this.#logged.has(`${about} ${severity}`))
        this.#deps.log.warn({ about, severity, words }, 'problem of the controller found');
    this.#logged = new Set(problems.map(({ about, severity }) => `${about} ${severity}`));
  }

  async #disks(): Promise<readonly DiskRoom[]> {
    const { stateDir, database } = this.#deps;
    const databaseFile =
      'sqlite' in database && database.sqlite !== ':memory:' ? database.sqlite : '';
    const directories = new Set([
      stateDir,
      ...(databaseFile === '' ? [] : [path.dirname(databaseFile)]),
    ]);
    const rooms = [...directories].map(async (directory) => {
      const found = await statfs(directory).catch(() => undefined);
      if (found === undefined || found.blocks === 0) return [];
      const { bavail, blocks, bsize } = found;
      return [{ directory, freeBytes: bavail * bsize, totalBytes: blocks * bsize }];
    });
    return (await Promise.all(rooms)).flat();
  }

  async #database(): Promise<NonNullable<OwnFacts['database']>> {
    const { store, clock } = this.#deps;
    const begunMs = clock.monotonicMs();
    const row = () => store.db.selectFrom('counters').select('name').limit(1).execute();
    try {
      await withDeadline('an answer of the database', ANSWER_MS, this.#looks.signal, row);
      return { tookMs: clock.monotonicMs() - begunMs };
    } catch (thrown) {
      return { problem: toGodwitError(thrown).message };
    }
  }

  #certificate(): Pick<OwnFacts, 'certificateUntilMs'> {
    const { credentials } = this.#deps;
    const { cert } = credentials.current?.() ?? credentials;
    return { certificateUntilMs: Date.parse(new X509Certificate(cert).validTo) };
  }

  #list(): Pick<OwnFacts, 'list'> {
    try {
      const list = this.#deps.fleet.list();
      return list === undefined ? {} : { list: { untilMs: Date.parse(list.expiresAt) } };
    } catch (thrown) {
      return { list: { problem: toGodwitError(thrown).message } };
    }
  }
}
