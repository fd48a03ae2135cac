import type { Edit } from './load.ts';

/** The source's mover broken on purpose, each time in one place of its own code. */
export interface ShellMutant {
  readonly name: string;
  readonly breaks: string;
  readonly mode: 'precopy' | 'hybrid';
  /** It breaks nothing but that all comes to its end. */
  readonly ends?: true;
  readonly edit: Edit;
}

const REGAIN = 'src/mover/direct/source/regain.ts';
const LIFECYCLE = 'src/mover/direct/source/lifecycle.ts';

export const SHELL_MUTANTS: readonly ShellMutant[] = [
  {
    name: 'resume on timeout',
    breaks: 'the source takes the guest back when no refusal came in time',
    mode: 'precopy',
    edit: {
      file: REGAIN,
      from: 'if (fencing?.off === true) return;',
      to: 'if (isDark) return;',
    },
  },
  {
    name: 'ask nobody',
    breaks: 'the source takes back what it has handed over, and asks for no refusal',
    mode: 'precopy',
    edit: {
      file: REGAIN,
      from: "if (proof === 'none') await needRefusal(parts, signal, !isPostcopy);",
      to: '',
    },
  },
  {
    name: 'run on regardless',
    breaks: 'the source has a guest go on whose stream broke, though it has sent a commit',
    mode: 'hybrid',
    edit: {
      file: REGAIN,
      from: '&& sourceMayRunOn(parts.state().right)',
      to: '',
    },
  },
  {
    name: 'off is as good as never',
    breaks: 'the source takes a guest back out of post-copy since its destination is off',
    mode: 'hybrid',
    edit: { file: REGAIN, from: "if (isPostcopy && proof !== 'none') {", to: 'if (false) {' },
  },
  {
    name: 'forget what may have been committed',
    breaks: 'a source that may have sent a commit closes the epoch without the destination’s word',
    mode: 'precopy',
    edit: {
      file: LIFECYCLE,
      from: 'await ask(parts, signal, (api) => api.refuse({ body }, { signal, deadlineMs: 10_000 }));',
      to: '',
    },
  },
  {
    name: 'look away',
    breaks: 'the source finds all well without having heard whether the destination’s QEMU lives',
    mode: 'precopy',
    edit: { file: LIFECYCLE, from: "if (there.hypervisor === 'gone') {", to: 'if (false) {' },
  },
  {
    name: 'begin anew',
    breaks: 'a mover that takes a step over does not look how far it is',
    mode: 'hybrid',
    ends: true,
    edit: {
      file: 'src/mover/direct/source/step-actions.ts',
      from: 'const isFirst = !parts.tookOver() && parts.state().attempts === 0;',
      to: 'const isFirst = true;',
    },
  },
];
