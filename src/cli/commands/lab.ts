import type { Verb } from '../verb.ts';

/** The verbs of `godwit lab`. */
export const LAB_VERBS: readonly Verb[] = [];
