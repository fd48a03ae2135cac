import { watchFrom } from '../../lab/probe/from-host.ts';
import { openLab } from '../../lab/up.ts';
import { ERRORS } from '../../errors.ts';
import { printJson } from '../context.ts';
import { probeWords } from '../../words/probes.ts';
import type { Run } from '../verb.ts';
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
