import { watchFrom } from '../probe/from-host.ts';
import { openLab } from '../up.ts';
import { ERRORS } from '../../src/errors.ts';
import { printJson } from '../../src/cli/context.ts';
import { probeWords } from '../../src/words/probes.ts';
import type { Run } from '../../src/cli/verb.ts';
import type { labProbeSpec } from './specs.ts';
import { interruptible, labName } from './network.ts';

const FOR_MS = 10_000;

export const run: Run<typeof labProbeSpec> = async (input, context) => {
  const { lab: named, from, kind, port, for: forMs = FOR_MS } = input.flags;
  const { guest } = input.args;
  const lab = await openLab(labName(named, context));
  const seen = await interruptible(context, (signal) =>
    watchFrom(lab, guest, { from, kind, port, forMs, signal }),
  );
  if (input.json) printJson(context, seen);
  else context.out.write(`${guest} from ${seen.host}: ${probeWords(seen)}\n`);
  return seen.kind === undefined ? ERRORS.GODWIT_STEP_FAILED.exit : 0;
};
