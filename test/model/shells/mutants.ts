import { transition } from '../../../src/migration/direct/source/transition.ts';
import type { StepName } from '../../../src/migration/direct/source/steps.ts';
import type { Edit } from './load.ts';

/** The movers broken on purpose, each time in one place of its own code. */
export interface ShellMutant {
  readonly name: string;
  readonly breaks: string;
  readonly mode: 'precopy' | 'hybrid';
  /** Only found where calls of an earlier migration of the same guest may still arrive. */
  readonly earlier?: true;
  /** The steps of the source whose doing or undoing it changes; of the destination all calls are taken anew. */
  readonly steps?: readonly StepName[];
  /** It breaks nothing but that all comes to its end. */
  readonly ends?: true;
  /** Not a call or a step: what reads the journal, or what follows the source's hypervisor. */
  readonly of?: 'journal' | 'monitor';
  readonly edit: Edit;
  /** The lifecycle broken besides. */
  readonly transition?: typeof transition;
}

const REGAIN = 'src/mover/direct/source/guest/regain.ts';
const PERMISSION_HERE = 'src/mover/direct/source/guest/permission.ts';
const PERMISSION = 'src/migration/permission/permission.ts';
const DURABILITY = 'src/migration/direct/durability.ts';
const DESTINATION = 'src/migration/direct/destination/destination.ts';
const LIFECYCLE = 'src/mover/direct/source/lifecycle.ts';

export const SHELL_MUTANTS: readonly ShellMutant[] = [
  {
    name: 'resume on timeout',
    breaks: 'the source takes the guest back when no refusal came in time',
    mode: 'precopy',
    steps: ['memory', 'switchover'],
    edit: {
      file: PERMISSION_HERE,
      from: "if (fencing?.off === true) return { is: 'off', by: fencing.by, at: context.host.bootTime() };",
      to: "if (isDark) return { is: 'without' };",
    },
  },
  {
    name: 'ask nobody',
    breaks: 'the source takes back what it has handed over, and asks for no refusal',
    mode: 'precopy',
    steps: ['memory', 'switchover'],
    edit: {
      file: PERMISSION_HERE,
      from: 'const answer =\n      provedBefore(decision, context.host.bootTime()) ?? (await askDestination(context, signal));',
      to: "const answer = { is: 'without' } as const;",
    },
  },
  {
    name: 'resume stale memory',
    breaks:
      'the source resumes a guest from its memory on a proof, though the destination may have run it on their disks',
    mode: 'precopy',
    steps: ['memory', 'switchover'],
    edit: { file: REGAIN, from: 'if (isMemoryStale(context.state())) {', to: 'if (false) {' },
  },
  {
    name: 'run on regardless',
    breaks: 'the source has a guest go on whose stream broke, though it has sent a commit',
    mode: 'hybrid',
    steps: ['memory', 'switchover'],
    edit: {
      file: PERMISSION,
      from: 'return claim.byProof || claim.handedOver || !sourceMayRunOn(claim.right);',
      to: 'return claim.byProof || claim.handedOver;',
    },
  },
  {
    name: 'off is as good as never',
    breaks: 'the source takes a guest back out of post-copy since its destination is off',
    mode: 'hybrid',
    steps: ['memory', 'switchover'],
    edit: {
      file: REGAIN,
      from: "if (isPostcopy && proof !== 'none') {",
      to: 'if (false) {',
    },
    // The lifecycle ends such a migration as lost before its mover comes to this: a second guard, taken away as well.
    transition: (state, event) =>
      transition(state, event.type === 'resolved' ? { ...event, here: 'paused' } : event),
  },
  {
    name: 'forget what may have been committed',
    breaks:
      'a source that may have sent a commit closes the epoch without the destination’s refusal',
    mode: 'precopy',
    steps: ['arm'],
    edit: {
      file: LIFECYCLE,
      from: 'await ask(context, signal, (api) => api.refuse({ body }, { signal, deadlineMs: 10_000 }));',
      to: '',
    },
  },
  {
    name: 'look away',
    breaks: 'the source finds all well without having heard whether the destination’s QEMU lives',
    mode: 'precopy',
    steps: ['verify'],
    edit: {
      file: LIFECYCLE,
      from: "if (there.hypervisor === 'gone' && there.ended === undefined) {",
      to: 'if (false) {',
    },
  },
  {
    name: 'begin anew',
    breaks: 'a mover that takes a step over does not look how far it is',
    mode: 'hybrid',
    ends: true,
    steps: ['memory', 'switchover'],
    edit: {
      file: 'src/mover/direct/source/step-actions.ts',
      from: 'const isFirst = !context.tookOver() && context.state().attempts === 0;',
      to: 'const isFirst = true;',
    },
  },
  {
    name: 'unreachable is gone',
    breaks: 'the source takes a hypervisor whose monitor it cannot reach for one that is gone',
    mode: 'hybrid',
    of: 'monitor',
    edit: {
      file: 'src/mover/direct/source/guest/guest.ts',
      from: "if (hasCode(thrown, 'GODWIT_HYPERVISOR_LOST')) {",
      to: "if (hasCode(thrown, 'GODWIT_HYPERVISOR_LOST', 'GODWIT_MONITOR_UNREACHABLE')) {",
    },
  },
  {
    name: 'cut what is damaged',
    breaks:
      'a journal that is damaged at its last synced record is taken for one whose end is torn',
    mode: 'precopy',
    of: 'journal',
    edit: {
      file: 'src/host/journal/journal-lines.ts',
      from: 'if (damage === undefined) return;',
      to: 'if (file !== undefined) return;',
    },
  },
  {
    name: 'drop the fsync',
    breaks: 'the destination says that it is armed before armed(epoch) lies on its disk',
    mode: 'precopy',
    edit: {
      file: DURABILITY,
      from: "event.type === 'committed' ? 'later'",
      to: "event.type === 'committed' || event.type === 'armed' ? 'later'",
    },
  },
  {
    name: 'drop the fsync of refused',
    breaks: 'the destination gives its refusal before it lies on its disk',
    mode: 'precopy',
    edit: {
      file: DURABILITY,
      from: "event.type === 'committed' ? 'later'",
      to: "event.type === 'committed' || event.type === 'refused' ? 'later'",
    },
  },
  {
    name: 'ignore refused',
    breaks: 'the destination takes a commit although it has refused',
    mode: 'precopy',
    edit: {
      file: DESTINATION,
      from: "return destinationRightAfter(state.right, 'commit') === undefined",
      to: "return state.right === 'none'",
      also: {
        file: PERMISSION,
        from: "if (claim.kind === 'arrival' && claim.right !== 'running') {",
        to: 'if (false) {',
      },
    },
  },
  {
    name: 'forget the epoch',
    breaks: 'the destination takes a call of an earlier migration for one of this',
    mode: 'precopy',
    earlier: true,
    edit: {
      file: DESTINATION,
      from: 'if (callEpoch !== state.admission.epoch) {',
      to: 'if (callEpoch < 0) {',
    },
  },
  {
    name: 'promise in vain',
    breaks: 'the destination takes a commit although its hypervisor is gone',
    mode: 'precopy',
    edit: {
      file: DESTINATION,
      from: "if (state.hypervisor === 'gone')\n    return no(state, 'its hypervisor is gone and never",
      to: "if (state.right === 'none')\n    return no(state, 'its hypervisor is gone and never",
    },
  },
  {
    name: 'run before it is written',
    breaks: 'the destination runs the guest without having recorded that it may',
    mode: 'precopy',
    edit: {
      file: 'src/mover/direct/destination/mover.ts',
      from: "await this.#ledger.record({ type: 'committed', epoch });",
      to: '',
    },
  },
  {
    name: 'release without a word',
    breaks: 'the destination takes its copy down, and has not refused',
    mode: 'precopy',
    edit: {
      file: 'src/mover/direct/destination/lifecycle.ts',
      from: "if (right !== 'running' && right !== 'refused') await refuse();",
      to: '',
    },
  },
];
