import { randomBytes } from 'node:crypto';
import type { AgentConfig } from '../../config.ts';
import { withDeadline } from '../../deadline.ts';
import { isManaged, type Driver } from '../../drivers/registry.ts';
import { godwitError, toGodwitError, type GodwitError } from '../../errors.ts';
import type { Capabilities } from '../../migration/preflight/capabilities.ts';
import { refusal, throwRefusal, warn } from '../../migration/preflight/check.ts';
import { bestFirst, verdictOf } from '../../migration/preflight/rank.ts';
import { inOrder } from '../../migration/preflight/judge.ts';
import { defined } from '../../protocol/defined.ts';
import type { CheckAnswer, CheckedHost, CheckRequest } from '../../protocol/public/check.ts';
import {
  migrationRequest,
  type Check,
  type MigrationRequest,
} from '../../protocol/public/migration.ts';
import type { GuestHandle } from '../../protocol/mover/handle.ts';
import { driverOf } from '../processes/hypervisor-life.ts';
import type { OutgoingGuest, Outgoing } from '../migrations/outgoing.ts';
import type { Peers } from '../peers.ts';
import { withWorkload } from '../guests/workload.ts';
import type { AskChecker } from './checker-process.ts';
import type { ExaminationRequest, ExaminedHost } from '../../mover/public.ts';

const MAX = 4;
/** Deadline for all destinations, ms; the caller waits a little longer. */
const ALL_MS = 95_000;
const GRACE_MS = 3000;

const NOT_ASKED = warn(
  'destination',
  'a manager moves this guest: it is asked by a check and by a migration alone',
  '`godwit migrate --dry-run` asks the manager; so does a migration, before anything is ordered.',
  'both',
);

interface PlannedDestination {
  readonly id: string;
  readonly request: MigrationRequest;
  readonly looked: OutgoingGuest;
}

export interface ChecksDependencies {
  readonly config: AgentConfig;
  readonly drivers: readonly Driver[];
  readonly outgoing: Outgoing;
  readonly peers: Peers;
  readonly apart: AskChecker;
}

export interface Examination {
  readonly host: CheckedHost;
  readonly found: ExaminedHost | undefined;
  readonly capabilities: Pick<
    Capabilities,
    'shape' | 'modes' | 'compression' | 'compressLevels' | 'maxStreams' | 'levers' | 'rounds'
  >;
  readonly driver: string | undefined;
  /** Identifies the guest's process; absent if the guest could not be attached to. */
  readonly handle: GuestHandle | undefined;
}

export class Checks {
  readonly #deps: ChecksDependencies;
  #running = 0;

  constructor(deps: ChecksDependencies) {
    this.#deps = deps;
  }

  async answer(asked: CheckRequest, signal: AbortSignal): Promise<CheckAnswer> {
    const { config, peers } = this.#deps;
    const names = asked.to === undefined ? peers.names() : [asked.to];
    const hosts = await this.#all(asked, names, signal);
    return { guest: asked.guest, from: config.name, hosts: bestFirst(hosts) };
  }

  /** Runs every check of a migration. Throws the first refusal, as the migration would. */
  async dryRun(request: MigrationRequest, signal: AbortSignal): Promise<readonly Check[]> {
    const [host] = await this.#all(request, [request.to], signal);
    const checks = host?.checks ?? [];
    throwRefusal(checks);
    return checks;
  }

  /**
   * Makes every check of a cold move to that host and throws the first refusal. That host then keeps the data that
   * starts the guest there.
   */
  async standby(
    request: MigrationRequest,
    signal: AbortSignal,
    digest: string | undefined,
  ): Promise<readonly Check[]> {
    const how = { standby: true, digest };
    const [first] = await this.#examine(request, [request.to], how, signal);
    const checks =
      first === undefined ? [] : checkedHost(first.planned, first.found?.checks).checks;
    throwRefusal(checks);
    return checks;
  }

  async examination(request: MigrationRequest, signal: AbortSignal): Promise<Examination> {
    const [first] = await this.#examine(request, [request.to], { measure: true }, signal);
    if (first === undefined) throw godwitError('GODWIT_INTERNAL', { what: 'no destination' });
    const { planned, found } = first;
    const driver = driverOf(this.#deps.drivers, planned.looked.handle);
    const none = { shape: 'direct', modes: [], compression: [], maxStreams: 1 } as const;
    return {
      host: this.#checked(planned, found),
      found,
      capabilities: driver?.capabilities ?? none,
      driver: driver?.name,
      handle: planned.looked.handle,
    };
  }

  async #all(
    asked: CheckRequest,
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<CheckedHost[]> {
    const all = await this.#examine(asked, names, {}, signal);
    return all.map(({ planned, found }) => this.#checked(planned, found));
  }

  #checked(planned: PlannedDestination, found: ExaminedHost | undefined): CheckedHost {
    const host = checkedHost(planned, found?.checks);
    if (found?.copiesDisks !== true) return host;
    const facts = this.#deps.outgoing.workloadOf(planned.request);
    return withWorkload(host, facts, { copiesDisks: true });
  }

  async #examine(
    asked: CheckRequest,
    names: readonly string[],
    {
      measure = false,
      standby = false,
      digest,
    }: {
      readonly measure?: boolean;
      readonly standby?: boolean;
      readonly digest?: string | undefined;
    },
    signal: AbortSignal,
  ): Promise<{ readonly planned: PlannedDestination; readonly found: ExaminedHost | undefined }[]> {
    const { config } = this.#deps;
    if (this.#running >= MAX) {
      const what = `${config.name}, in checks of its guests at once,`;
      throw godwitError('GODWIT_OVERLOADED', { what, limit: MAX });
    }
    this.#running += 1;
    const found = new Map<string, ExaminedHost>();
    let gone: Promise<void> | undefined;
    try {
      const planned = await this.#lookForAll(asked, names);
      const also = standby ? { standby, ...defined({ digest }) } : {};
      const hosts = planned
        .flatMap((each) => this.#toExamine(each, standby))
        .map((each) => ({ ...each, ...also }));
      const question = { what: 'examine', hosts, deadlineMs: ALL_MS, measure } as const;
      const onHost = (host: ExaminedHost): void => void found.set(host.to, host);
      if (hosts.length > 0) {
        const what = `to check ${asked.guest}`;
        await withDeadline(what, ALL_MS + GRACE_MS, signal, (within) => {
          const under = this.#deps.apart(question, onHost, within);
          gone = under.gone;
          return under.answer;
        }).catch((thrown: unknown) => {
          signal.throwIfAborted();
          const error = toGodwitError(thrown);
          for (const { request } of hosts)
            if (!found.has(request.to)) onHost(notExamined(request.to, error));
        });
      }
      return planned.map((each) => ({ planned: each, found: found.get(each.request.to) }));
    } finally {
      const over = (): void => void (this.#running -= 1);
      if (gone === undefined) over();
      else void gone.then(over);
    }
  }

  /** Looks before anything attaches to the guest: an attached monitor does not answer a look. */
  async #lookForAll(asked: CheckRequest, names: readonly string[]): Promise<PlannedDestination[]> {
    const planned: PlannedDestination[] = [];
    for (const to of names) {
      const id = newCheckId();
      const request = this.#deps.outgoing.labelled(migrationRequest.parse({ ...asked, to }));
      planned.push({ id, request, looked: await this.#deps.outgoing.look(id, request) });
    }
    return planned;
  }

  /** Empty if the guest cannot be attached to. A manager's guest has no standby. */
  #toExamine({ id, request, looked }: PlannedDestination, standby: boolean): ExaminationRequest[] {
    const { handle, info, seen, address } = looked;
    const driver = driverOf(this.#deps.drivers, handle);
    if (isClosed(looked) || handle === undefined || driver === undefined) return [];
    const asked = { id, request, handle };
    if (isManaged(driver)) {
      const { link } = seen;
      const known = link === undefined ? {} : { link };
      return standby ? [] : [{ ...asked, from: info.host, seen: known }];
    }
    if (address === undefined) return [];
    const { labels } = info;
    const memory = info.memoryBytes === undefined ? {} : { memoryBytes: info.memoryBytes };
    return [{ ...asked, seen, ...memory, ...defined({ labels }) }];
  }
}

function isClosed({ checks }: OutgoingGuest): boolean {
  return checks.some(
    ({ name, verdict }) => verdict === 'refuse' && ['busy', 'guest'].includes(name),
  );
}

function checkedHost(
  { request, looked }: PlannedDestination,
  found?: readonly Check[],
): CheckedHost {
  const isManagers = looked.address === undefined && !isClosed(looked);
  const others = found ?? (isManagers ? [NOT_ASKED] : []);
  const checks = inOrder([...looked.checks, ...others]);
  return { to: request.to, verdict: verdictOf(checks), checks: checks.slice(0, 256) };
}

function notExamined(to: string, error: GodwitError): ExaminedHost {
  return { to, checks: [refusal('destination', error, 'both')] };
}

function newCheckId(): string {
  return `c-${randomBytes(8).toString('hex')}`;
}
