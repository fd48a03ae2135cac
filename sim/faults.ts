import type { FakeWorld } from './fake/world.ts';
import type { SimHost } from './host.ts';
import type { Network } from './network.ts';
import type { Observer } from './observer.ts';
import type { SimProcess } from './process.ts';
import type { CallFault, Deed, DeedKind, Fault, HostName, Scenario, When } from './scenario.ts';
import type { Scheduler } from './scheduler.ts';

/** A host that was fenced is on again after so long, ms. */
const FENCED_MS = 30_000;

/** How far the handover was when a hypervisor ended by a fault. */
export type Stage = 'before' | 'postcopy' | 'after';

/** What the faults came to: only what struck something counts. */
export interface Struck {
  readonly kinds: DeedKind[];
  /** Which hypervisor a fault ended, and when. */
  readonly died: { readonly host: HostName; readonly stage: Stage; readonly ran: boolean }[];
  readonly powerLost: HostName[];
  /** ms for which one side could not hear the other, or could not work; by cause, added up. */
  outOfReachMs: number;
  readonly calls: CallFault[];
  /** ms for which hypervisors were made to keep their callers waiting. */
  hungMs: number;
  overAtMs: number;
}

export interface FaultDependencies {
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly world: FakeWorld;
  readonly hosts: Readonly<Record<HostName, SimHost>>;
  readonly observer: () => Observer;
  readonly cancel: () => void;
  /** False if nothing comes of it: the host keeps no description of that guest, or is off. */
  readonly recover: (host: HostName, from: HostName) => boolean;
  readonly takeUp: () => boolean;
  readonly report: (text: string) => void;
}

/** Lets the faults of a scenario strike, each once, when its moment has come. */
export class Faults {
  readonly struck: Struck = {
    kinds: [],
    died: [],
    powerLost: [],
    outOfReachMs: 0,
    calls: [],
    hungMs: 0,
    overAtMs: 0,
  };
  readonly #deps: FaultDependencies;
  readonly #waiting: Set<Fault>;
  readonly #calls: { readonly fault: CallFault; left: number }[];
  readonly #deeds: Record<HostName, number> = { a: 0, b: 0, c: 0 };

  constructor(scenario: Scenario, deps: FaultDependencies) {
    this.#deps = deps;
    this.#waiting = new Set(scenario.faults);
    this.#calls = scenario.calls.map((fault) => ({ fault, left: fault.times }));
    for (const fault of scenario.faults) {
      if (fault.when.at !== 'time') continue;
      this.#later(fault, fault.when.ms);
      // With a third host, what comes after the migration counts as well.
      if (scenario.fleet === true) this.#over(fault.when.ms);
    }
  }

  /** A mover is about to do something, or has. */
  passing(process: SimProcess, edge: 'before' | 'after', what: string): void {
    const { host } = process;
    if (edge === 'before') this.#deeds[host] += 1;
    const nth = this.#deeds[host];
    for (const fault of this.#waiting) {
      const { when } = fault;
      if (when.at !== 'deed' || when.host !== host || when.edge !== edge || when.nth !== nth)
        continue;
      this.#deps.report(`${edge === 'before' ? 'as' : 'once'} ${process.name} does: ${what}`);
      this.#strike(fault);
    }
  }

  /** The stream of the source has come to that state. */
  streamIs(state: string): void {
    for (const fault of this.#waiting) {
      const { when } = fault;
      if (when.at === 'stream' && when.state === state) this.#later(fault, when.afterMs);
    }
  }

  callFault(call: string): CallFault | undefined {
    const found = this.#calls.find(({ fault, left }) => fault.call === call && left > 0);
    if (found === undefined) return undefined;
    found.left -= 1;
    const { fault } = found;
    const hung = fault.how === 'hang' ? fault.forMs : 0;
    this.#over(hung);
    this.struck.hungMs += hung;
    this.struck.calls.push(fault);
    this.struck.kinds.push(hung > 0 ? 'call hangs' : 'call fails');
    return fault;
  }

  #later(fault: Fault, ms: number): void {
    const { scheduler } = this.#deps;
    if (fault.when.at !== 'time') this.#waiting.delete(fault);
    scheduler.after(ms, undefined, () => this.#strike(fault));
  }

  #over(afterMs: number): void {
    const { scheduler } = this.#deps;
    this.struck.overAtMs = Math.max(this.struck.overAtMs, scheduler.now + afterMs);
  }

  #strike(fault: Fault): void {
    this.#waiting.delete(fault);
    const { deed } = fault;
    this.#deps.report(`FAULT: ${wordsOf(deed)}`);
    this.#over('forMs' in deed ? deed.forMs : 0);
    if (this.#does(deed)) this.struck.kinds.push(deed.kind);
  }

  /** False where there was nothing to strike. */
  #does(deed: Deed): boolean {
    const { network, hosts, scheduler } = this.#deps;
    switch (deed.kind) {
      case 'kill mover':
        return hosts[deed.host].killMovers();
      case 'kill agent':
        hosts[deed.host].killAgent();
        this.#outage(deed.forMs);
        scheduler.after(deed.forMs, undefined, () => hosts[deed.host].startAgent());
        return true;
      case 'freeze mover':
        if (!hosts[deed.host].busy) return false;
        hosts[deed.host].freezeMovers(deed.forMs);
        this.#outage(deed.forMs);
        return true;
      case 'kill hypervisor':
        return this.#end(deed.host);
      case 'power loss':
        return this.#powerLoss(deed.host, deed.forMs);
      case 'link cut':
        this.#outage(deed.forMs);
        this.#cut(deed.forMs);
        return true;
      case 'black hole':
        this.#outage(deed.forMs);
        for (const to of ['a', 'b'] as const) {
          if (deed.ways === 'both' || deed.ways === `to ${to}`) network.blackHole(to, deed.forMs);
        }
        return true;
      case 'bad link':
        this.#outage(deed.forMs);
        network.badUntil = Math.max(network.badUntil, scheduler.now + deed.forMs);
        return true;
      case 'disk full':
      case 'disk read-only':
      case 'disk slow':
      case 'disk broken':
        this.#disk(deed);
        return true;
      case 'clock step':
        hosts[deed.host].clockStepMs += deed.byMs;
        return true;
      case 'cancel':
        this.#deps.cancel();
        return true;
      case 'isolated':
        this.#outage(deed.forMs);
        network.isolate(deed.host, deed.forMs);
        return true;
      case 'recover':
        return this.#deps.recover(deed.host, deed.from);
      case 'request damaged':
        return this.#damage(deed.host, deed.forMs);
      case 'take up':
        return this.#deps.takeUp();
    }
  }

  #outage(forMs: number): void {
    this.struck.outOfReachMs += forMs;
  }

  #cut(forMs: number): void {
    const { world, network, scheduler } = this.#deps;
    network.cut(forMs);
    world.cutLink();
    scheduler.after(forMs, undefined, () => {
      if (!network.cutNow) world.restoreLink();
    });
  }

  #disk(deed: Extract<Deed, { kind: `disk ${string}` }>): void {
    const { hosts, scheduler } = this.#deps;
    const { disk } = hosts[deed.host];
    const state = deed.kind.slice('disk '.length) as 'full' | 'read-only' | 'slow' | 'broken';
    disk.state = state;
    this.#outage(deed.forMs);
    scheduler.after(deed.forMs, undefined, () => {
      if (disk.state === state) disk.state = 'well';
    });
  }

  /** The guest's processes on that host die. */
  #end(host: HostName): boolean {
    const { world, observer } = this.#deps;
    const stage = stageOf(observer());
    const living = observer().aliveAt(host);
    for (const instance of living) {
      this.struck.died.push({ host, stage, ran: instance.run === 'running' });
      world.kill(instance);
    }
    return living.length > 0;
  }

  /** Its agent starts again, now and once they are repaired; its movers go on. */
  #damage(name: HostName, forMs: number): boolean {
    const { hosts, scheduler } = this.#deps;
    const host = hosts[name];
    const is = (isDamaged: boolean): void => {
      host.store.isDamaged = isDamaged;
      host.killAgent();
      host.startAgent();
    };
    is(true);
    this.#outage(forMs);
    scheduler.after(forMs, undefined, () => is(false));
    return true;
  }

  /** A fencing hook turns it off, and somebody turns it on again. */
  turnOff(name: HostName): void {
    if (!this.#deps.hosts[name].up) return;
    this.#deps.report(`${name} is turned off`);
    this.#over(FENCED_MS);
    this.#powerLoss(name, FENCED_MS);
  }

  #powerLoss(name: HostName, forMs: number): boolean {
    const { hosts, scheduler } = this.#deps;
    const host = hosts[name];
    if (!host.up) return false;
    this.#outage(forMs);
    this.struck.powerLost.push(name);
    host.losePower();
    this.#end(name);
    scheduler.after(forMs, undefined, () => host.boot());
    return true;
  }
}

function stageOf({ completed, postcopy }: Observer): Stage {
  if (completed) return 'after';
  return postcopy ? 'postcopy' : 'before';
}

/** A fault in words. */
export function wordsOf(deed: Deed): string {
  switch (deed.kind) {
    case 'kill mover':
    case 'kill hypervisor':
      return `${deed.kind} on ${deed.host}`;
    case 'black hole':
      return `black hole ${deed.ways === 'both' ? 'both ways' : deed.ways} for ${deed.forMs} ms`;
    case 'clock step':
      return `the clock of ${deed.host} steps by ${deed.byMs} ms`;
    case 'link cut':
    case 'bad link':
      return `${deed.kind} for ${deed.forMs} ms`;
    case 'cancel':
      return 'the user cancels';
    case 'recover':
      return `${deed.host} is to recover the guest of ${deed.from}`;
    case 'take up':
      return 'somebody with the certificate of b asks a to take the guest back';
    case 'kill agent':
    case 'freeze mover':
    case 'power loss':
    case 'isolated':
    case 'request damaged':
    case 'disk full':
    case 'disk read-only':
    case 'disk slow':
    case 'disk broken':
      return `${deed.kind} on ${deed.host} for ${deed.forMs} ms`;
  }
}

/** When a fault strikes, in words. */
export function momentOf(when: When): string {
  switch (when.at) {
    case 'time':
      return `after ${when.ms} ms`;
    case 'stream':
      return `${when.afterMs} ms after the stream is ${when.state}`;
    case 'deed':
      return `${when.edge} deed ${when.nth} of the mover on ${when.host}`;
  }
}
