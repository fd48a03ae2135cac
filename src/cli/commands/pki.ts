import type { Verb } from '../verb.ts';

/** The verbs of `godwit pki`. */
export const PKI_VERBS: readonly Verb[] = [];
