import type { balanceSpec } from './policy-specs.ts';
import { lookAndAccept } from './policy-look.ts';
import type { Run } from '../verb.ts';

export const run: Run<typeof balanceSpec> = (input, context) =>
  lookAndAccept('balance', input, context);
