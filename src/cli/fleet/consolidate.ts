import type { consolidateSpec } from './policy-specs.ts';
import { lookAndAccept } from './policy-look.ts';
import type { Run } from '../verb.ts';

export const run: Run<typeof consolidateSpec> = (input, context) =>
  lookAndAccept('consolidate', input, context);
