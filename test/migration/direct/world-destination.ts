import {
  destinationAfter,
  initialDestination,
  judgeCall,
  type DestinationCall,
  type DestinationEvent,
  type DestinationState,
} from '../../../src/migration/direct/destination/destination.ts';
import { knowsItNeverRan } from '../../../src/migration/direct/run-right.ts';
import type { HypervisorEvent } from '../../../src/migration/direct/hypervisor.ts';
import type { Admission, Preparation } from '../../../src/protocol/peer/migration.ts';
import { BASE } from './samples.ts';

export const BOOT = 'boot-1';
const SEEDED = { ...BASE, bytes: 1 << 20, sha256: 'ab'.repeat(32), made: true };

/** The destination of a world: its pure state, and a hypervisor that does what it is told. */
export class WorldDestination {
  readonly journal: DestinationEvent[] = [];
  state: DestinationState;
  /** What is left on the host. */
  hypervisor: 'none' | 'paused' | 'running' | 'gone' = 'none';
  /** What the guest only reads was made here. */
  seeded = false;
  readonly #preparation: Preparation;

  constructor(admission: Admission, preparation: Preparation) {
    const event = { type: 'admitted', admission, host: 'b' } as const;
    this.#preparation = preparation;
    this.journal.push(event);
    this.state = initialDestination(event);
  }

  record(event: DestinationEvent): void {
    this.journal.push(event);
    this.state = destinationAfter(this.state, event);
  }

  /** Carries out a call of the source's mover, in the mover's own order of records and deeds. Throws its refusal. */
  call(call: DestinationCall, epoch = this.state.admission.epoch): void {
    const verdict = judgeCall(this.state, call, epoch);
    if (verdict.kind === 'no') throw verdict.error;
    const already = verdict.kind === 'already';
    switch (call) {
      case 'seed':
        this.seeded = true;
        this.record({ type: 'seeding', bases: [SEEDED] });
        return;
      case 'assess':
      case 'disks':
      case 'compare':
      case 'media':
      case 'recover':
        return;
      case 'prepare':
        if (!already) this.#build();
        return;
      case 'arm':
        if (!already) this.record({ type: 'armed', epoch, bootId: BOOT });
        return;
      case 'commit':
        this.record({ type: 'committed', epoch });
        if (this.hypervisor === 'paused') this.hypervisor = 'running';
        this.record({ type: 'running', epoch, resumeMs: 1 });
        return;
      case 'refuse':
        if (!already) this.record({ type: 'refused', epoch, why: 'asked' });
        return;
      case 'release':
        if (!already) this.#release(epoch);
        return;
      case 'tear-down':
        if (already) return;
        if (this.state.right !== 'running') return this.#release(epoch);
        this.hypervisor = 'none';
        this.record({ type: 'finished' });
        return;
      case 'finish':
        if (!already) this.record({ type: 'finished' });
        return;
    }
  }

  #build(): void {
    this.record({ type: 'preparing', preparation: this.#preparation, ports: { net0: 'gwt0' } });
    this.hypervisor = 'paused';
    const handle = { driver: 'fake', name: 'web1', pid: 2, startTicks: 1, monitor: 'm' };
    this.record({ type: 'prepared', handle, memoryAddress: 'b:49152' });
  }

  #release(epoch: number): void {
    if (this.state.right !== 'refused') this.record({ type: 'refused', epoch, why: 'asked' });
    this.hypervisor = 'none';
    this.seeded = false;
    this.record({ type: 'released' });
  }

  report(event: HypervisorEvent): void {
    this.record({ type: 'hypervisor', event });
  }

  dies(): void {
    this.hypervisor = 'gone';
    this.report({ type: 'lost', reason: 'killed' });
  }

  /** Another mover goes on; `bootId` differs after the host was restarted. */
  takeover(bootId = BOOT): void {
    const armed = this.journal.findLast((event) => event.type === 'armed');
    const neverRan = knowsItNeverRan(this.state.right, armed?.bootId, bootId);
    this.record({ type: 'taken-over', pid: 7, neverRan });
  }

  get isClean(): boolean {
    return this.state.stage === 'released' && this.hypervisor === 'none' && !this.seeded;
  }
}
