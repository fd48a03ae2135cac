import { sourceMayBeAsked } from '../../src/migration/direct/retention.ts';
import type { Context } from './context.ts';
import { stateOf } from './source-shell.ts';

/** What is not for the state to say: each is a move of its own where it is asked for. */
export interface Choice {
  /** The call is one of an earlier migration. */
  readonly earlier?: boolean;
  /** What the source's agent answers: how it stands, that it does not know the migration, or nothing. */
  readonly source?: 'reports' | 'unknown' | 'dark';
  /** The driver can prove that the guest never ran. */
  readonly neverRan?: boolean;
}

const HOW = {
  reports: '',
  unknown: ', whose agent does not know it',
  dark: ', which is dark',
} as const;

/** Makes a move once for each choice that the code asks for on its way. */
export class Choices {
  source = false;
  neverRan = false;

  each(context: Context, make: (choice: Choice) => void, emit: (how: string) => void): void {
    this.source = false;
    this.neverRan = false;
    make({});
    // A source whose journal is damaged says that alone.
    const { sdam } = context.world;
    if (!this.source || sdam === 0) emit('');
    if (this.neverRan && context.world.ran === 0) {
      make({ neverRan: true });
      emit(', and the guest provably never ran');
    }
    if (!this.source) return;
    const isForgotten = sdam === 0 && !sourceMayBeAsked(stateOf(context, context.world));
    for (const source of isForgotten ? (['dark', 'unknown'] as const) : (['dark'] as const)) {
      make({ source });
      emit(HOW[source]);
    }
  }
}
